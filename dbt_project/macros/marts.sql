{#
    How marts follow what changed, and count in the report's time zone.

    `clean.changed_hours` collects the hours whose rows changed since all marts were last right; the last mart, `marts_built`,
    empties it. So a mart that failed, or a run that was killed, is made good by the next run, whichever that is, and the
    hours count as merged meanwhile. What changed is told by platform and instance, not by community: a thread that moves
    from one board to another changes both.
#}

{# The time zone in which days begin, a name of the IANA's. #}
{% macro report_zone() -%}
    {%- set zone = var('time_zone', env_var('THREADLAKE_TIMEZONE', 'UTC')) -%}
    {%- if not modules.re.fullmatch('[A-Za-z0-9_+/-]+', zone) or zone not in modules.pytz.all_timezones_set -%}
        {{ exceptions.raise_compiler_error("time_zone: '" ~ zone ~ "' is not a time zone's name, such as Europe/Berlin") }}
    {%- endif -%}
    {{ return(zone) }}
{%- endmacro %}

{# What the rows of marts depend on beside the posts, as a short text: marts that were made otherwise are made anew. #}
{% macro mart_settings() -%}
    {%- set told = {'time_zone': report_zone()} -%}
    {%- for name in var('marts_depend_on') -%}{%- do told.update({name: var(name)}) -%}{%- endfor -%}
    {{ return(local_md5(tojson(told, sort_keys=true))) }}
{%- endmacro %}

{# Whether a mart has all but what changed: else it is made from all there is. #}
{% macro only_changed() %}
    {%- if not execute -%}{{ return(true) }}{%- endif -%}{# so that dbt sees what the model may refer to #}
    {%- if not is_incremental() -%}{{ return(false) }}{%- endif -%}
    {%- set built = load_relation(api.Relation.create(target.database, 'marts', 'marts_built')) -%}
    {%- if built is none -%}{{ return(false) }}{%- endif -%}
    {%- set found = asked_once("select settings from " ~ built) -%}
    {{ return(found | length == 1 and found.columns[0].values()[0] == mart_settings()) }}
{% endmacro %}

{# What makes sure, before the first mart is made, that marts made otherwise do not count as right: should this run fail, the
   next one makes all of them anew. #}
{% macro forget_other_settings() %}
    {%- set built = load_relation(api.Relation.create(target.database, 'marts', 'marts_built')) if execute else none -%}
    {%- if built is not none -%}
        {{ return("delete from " ~ built ~ " where settings <> '" ~ mart_settings() ~ "'") }}
    {%- endif -%}
    {{ return('select 1') }}
{% endmacro %}

{# How a mart says by what it follows changes; at its top, because dbt must see there what it may refer to. Rows that have
   one of the new rows' `number` are replaced, too. What it follows is what it is partitioned by, so that making anew what
   changed reads and writes the months or years of that. #}
{% macro follows(what, number=none) -%}
    {%- set partitions = {'days': ('day', 'month'), 'years': ('year', 'number'), 'observations': ('hour', 'month')} -%}
    {%- set partition, every = partitions.get(what, (none, none)) -%}
    {%- do config(
        meta={'changed': what, 'number': number, 'partition': partition, 'every': every},
        cluster_by=['key_number'] if what == 'threads' else ['platform', 'community'],
    ) -%}
    {%- do ref('changed_days') -%}
    {%- do ref('changed_years' if what == 'years' else 'changed_hours') -%}
{%- endmacro %}

{# A condition on rows of a mart: those that are made anew. #}
{% macro in_changed(alias='known') %}
    {%- if not execute or not only_changed() -%}{{ return('true') }}{%- endif -%}
    {{ return(changed_rows(config.get('meta').changed, alias)) }}
{% endmacro %}

{% macro changed_rows(what, alias='known') -%}
    {%- if what == 'days' -%}
        {{ alias }}.day in ({{ day_literals(days_changed()) }})
        and exists (
            select 1 from {{ ref('changed_days') }} as changed
            where {{ same_key('changed', alias, ['platform', 'instance', 'day']) }}
        )
    {%- elif what == 'years' -%}
        {{ alias }}.year in ({{ years_changed() | join(', ') or 0 }})
        and exists (
            select 1 from {{ ref('changed_years') }} as changed
            where {{ same_key('changed', alias, ['platform', 'instance', 'year']) }}
        )
    {%- elif what == 'observations' -%}
        {{ in_partitions(alias ~ '.hour', changed_hours_of('observations')) }}
    {%- elif what == 'words' -%}
        ({{ in_partitions(alias ~ '.hour', changed_hours_of('posts')) }} or {{ alias }}.day < {{ day_before(13) }})
    {%- elif what == 'threads' -%}
        {{ alias }}.key_number in ({{ threads_changed() }})
    {%- else -%}
        exists (
            select 1 from {{ ref('changed_hours') }} as changed
            where {{ same_key('changed', alias, ['platform', 'instance']) }}
        )
    {%- endif -%}
{%- endmacro %}

{# The days that changed, as ISO texts in order. #}
{% macro days_changed() %}
    {%- set changes = ref('changed_days') -%}
    {%- if not execute or load_relation(changes) is none -%}{{ return([]) }}{%- endif -%}
    {%- set question -%}
        select distinct day, {{ day_text('day') }} as day_text from {{ changes }} order by 1
    {%- endset -%}
    {{ return(asked_once(question).columns[1].values() | list) }}
{% endmacro %}

{# The years that changed, in order. #}
{% macro years_changed() %}
    {%- set changes = ref('changed_years') -%}
    {%- if not execute or load_relation(changes) is none -%}{{ return([]) }}{%- endif -%}
    {{ return(asked_once("select distinct year from " ~ changes ~ " order by 1").columns[0].values() | map('int') | list) }}
{% endmacro %}

{% macro day_literals(days) -%}
    {%- for day in days %}date '{{ day }}'{{ ', ' if not loop.last }}{% endfor -%}
    {%- if not days %}date '0001-01-01'{% endif -%}
{%- endmacro %}

{# The hours of one kind that changed, as texts of instants in order. #}
{% macro changed_hours_of(kind) %}
    {%- set changes = ref('changed_hours') -%}
    {%- if not execute or load_relation(changes) is none -%}{{ return([]) }}{%- endif -%}
    {%- set question -%}
        select distinct hour, {{ instant_text('hour') }} as hour_text
        from {{ changes }} where kind = '{{ kind }}' order by 1
    {%- endset -%}
    {{ return(asked_once(question).columns[1].values() | list) }}
{% endmacro %}

{# The numbers of the threads that changed, as a subquery: their rows, their posts, and what were their posts before. #}
{% macro threads_changed() -%}
    select days.key_number from {{ ref('thread_days') }} as days where {{ changed_rows('days', 'days') }}
    union distinct
    select lives.key_number
    from {{ this }} as lives
    where exists (
        select 1 from {{ ref('changed_days') }} as changed
        where
            {{ same_key('changed', 'lives', ['platform', 'instance']) }}
            and changed.day between lives.first_day and lives.last_day
    )
    {%- for name in ['threads', 'threads_history'] %}
    union distinct
    select known.key_number
    from {{ ref(name) }} as known
    where {{ in_partitions('known.created_hour', changed_hours_of('threads')) }}
    {%- endfor %}
{%- endmacro %}

{# All UTC hours that the changed days have a part in, as texts of instants in order: the partitions of their posts. #}
{% macro hours_of_changed_days() %}
    {%- set zone = modules.pytz.timezone(report_zone()) -%}
    {%- set hour = modules.datetime.timedelta(hours=1) -%}
    {%- set hours = {} -%}
    {%- for day in days_changed() -%}
        {%- set begin = modules.datetime.datetime.fromisoformat(day) -%}
        {%- set first = zone.localize(begin).astimezone(modules.pytz.utc).replace(minute=0, second=0) -%}
        {%- set end = zone.localize(begin + 24 * hour).astimezone(modules.pytz.utc) -%}
        {%- for i in range(27) -%}
            {%- if first + i * hour < end -%}
                {%- do hours.update({(first + i * hour).strftime('%Y-%m-%d %H:00:00+00'): true}) -%}
            {%- endif -%}
        {%- endfor -%}
    {%- endfor -%}
    {{ return(hours.keys() | sort) }}
{% endmacro %}

{# The posts of the days that changed, or all: `columns` of the clean tables, with `day` and `year`. As a subquery. #}
{% macro posts_by_days(columns, partial=none) -%}
    {%- set partial = only_changed() if partial is none else partial -%}
    {%- set here = in_partitions('known.created_hour', hours_of_changed_days()) if partial -%}
    (
        select known.*, extract(year from known.day) as year
        from (
            {%- for name, side in [('posts', 'recent'), ('posts_history', 'history')] %}
            select {{ columns | join(', ') }}, {{ local_day('known.created_at') }} as day
            from {{ ref(name) }} as known
            where
                {{ on_side('known.created_at', side) }}
                and {{ here if partial else every_partition('known.created_hour') }}
            {%- if not loop.last %}
            union all
            {%- endif %}
            {%- endfor %}
        ) as known
        {%- if partial %}
        where {{ changed_rows('days') }}
        {%- endif %}
    )
{%- endmacro %}

{# The strategy of the marts: replaces the rows of what changed by what the model returns. #}
{% macro get_incremental_replace_changed_sql(arguments) -%}
    {%- set target = arguments.target_relation -%}
    {%- set columns = get_quoted_csv(arguments.dest_columns | map(attribute='name')) -%}
    {%- set number = config.get('meta').number -%}
    {%- set statements = ["delete from " ~ target ~ " as known where " ~ in_changed()] -%}
    {%- if number and only_changed() -%}
        {%- set fresh = arguments.temp_relation -%}
        {%- set days = run_query("select distinct day, " ~ day_text('day') ~ " as day_text from " ~ fresh ~ " order by 1") -%}
        {%- do statements.append(
            "delete from " ~ target ~ " as known where known.day in (" ~ day_literals(days.columns[1].values()) ~ ") and known."
            ~ number ~ " in (select fresh." ~ number ~ " from " ~ fresh ~ " as fresh)"
        ) -%}
    {%- endif -%}
    {%- do statements.append("insert into " ~ target ~ " (" ~ columns ~ ") select " ~ columns ~ " from " ~ arguments.temp_relation) -%}
    {{ together(statements) }}
{%- endmacro %}

{# -- what is counted ---------------------------------------------------------------------------------------------- #}

{# How often a post is known to have been edited: versions seen beyond the first, once at least where the platform says so. #}
{% macro edits_of(post) -%}
    greatest({{ post }}.version_count - 1, case when {{ post }}.edited_at is not null then 1 else 0 end, 0)
{%- endmacro %}

{# Sums over posts, as activity and posters have them. `texts` are the posts whose words are known: mean length is
   `text_length` by `texts`. #}
{% macro sums_of_posts(post) %}
        count(*) as posts,
        count(case when {{ post }}.edited_at is not null then 1 end) as edited_posts,
        {{ total(edits_of(post)) }} as edits,
        count(case when {{ post }}.deleted_at is not null then 1 end) as deletions,
        count(case when {{ post }}.is_opening then 1 end) as threads,
        count({{ post }}.text) as texts,
        {{ total("length(" ~ post ~ ".text)") }} as text_length
{%- endmacro %}

{% macro sums() %}{{ return(['posts', 'edited_posts', 'edits', 'deletions', 'threads', 'texts', 'text_length']) }}{% endmacro %}

{% macro sums_of_sums(alias) -%}
    {%- for column in sums() %}
        {{ total(alias ~ '.' ~ column) }} as {{ column }}{{ ',' if not loop.last }}
    {%- endfor %}
{%- endmacro %}

{# By which others quote a post: Discourse counts the posts of a topic, everybody else names the post. #}
{% macro quotable_name(post) -%}
    case
        when {{ post }}.platform = 'discourse' then replace({{ post }}.url, 'https://' || {{ post }}.instance || '/t/', '')
        else {{ post }}.post_id
    end
{%- endmacro %}

{# A number of what is quoted, equal for the quoting and the quoted. #}
{% macro quoted_number(row, name) -%}
    {{ number_of_text(row ~ ".platform || '|' || " ~ row ~ ".instance || '|' || " ~ name) }}
{%- endmacro %}

{# The host of a URL, in small letters, without `www.`; null where it has none. #}
{% macro domain_of(url) -%}
    {{ first_match("lower(" ~ url ~ ")", '^[a-z][a-z0-9+.-]*://(?:[^/?#@]*@)?(?:www\\.)?([^/?#:\\[\\]]+|\\[[^\\]]*\\])') }}
{%- endmacro %}

{# `image`, `video` or `link`, by where a URL leads: all that every platform tells of it. #}
{% macro kind_of_link(url, domain) -%}
    case
        when {{ matches("lower(" ~ url ~ ")", '^[^?#]*\\.(?:' ~ var('image_endings') | join('|') ~ ')(?:[?#]|$)') }} then 'image'
        when {{ matches("lower(" ~ url ~ ")", '^[^?#]*\\.(?:' ~ var('video_endings') | join('|') ~ ')(?:[?#]|$)') }} then 'video'
        when {{ domain }} in ('{{ var('video_domains') | join("', '") }}') then 'video'
        else 'link'
    end
{%- endmacro %}

{# The words of a text, in small letters, without URLs: letters, with digits, hyphens and apostrophes between. #}
{% macro words_of(text) -%}
    {{ all_matches("lower(" ~ without_matches(text, '[a-zA-Z][a-zA-Z0-9+.-]*://\\S+') ~ ")",
        "\\p{L}[\\p{L}\\p{M}\\p{N}]*(?:['’-][\\p{L}\\p{M}\\p{N}]+)*") }}
{%- endmacro %}

{# The day, in the report's zone, that is `before` days before the time of this run, as a literal. #}
{% macro day_before(before) -%}
    {%- set now = run_started_at if var('now', none) is none else modules.datetime.datetime.fromisoformat(var('now')) -%}
    {%- set local = now.astimezone(modules.pytz.timezone(report_zone())) -%}
    date '{{ (local - modules.datetime.timedelta(days=before)).strftime('%Y-%m-%d') }}'
{%- endmacro %}

{# Posts of the last seven days and of the seven before, by community and `name`, from what counts posts by day. #}
{% macro posts_of_two_weeks(counts, name=[]) -%}
    {%- set key = (['platform', 'instance', 'community'] + name) | join(', ') -%}
    select
        {{ key }},
        {{ total("case when day >= " ~ day_before(6) ~ " then posts else 0 end") }} as posts,
        {{ total("case when day < " ~ day_before(6) ~ " then posts else 0 end") }} as posts_before
    from {{ counts }}
    where day between {{ day_before(13) }} and {{ day_before(0) }}
    group by {{ key }}
{%- endmacro %}

{# Rows with `posts` of the last seven days and `posts_before` of the seven before, by community and `name`, with a score and a
   rank. The score is the posts times the logarithm of how much larger their share of the community's posts has become, what
   was never there before taken as half a post: a word that doubled in 100 posts counts more than one that is new in 5. Shares
   and not numbers are compared, because the day goes on; where there was no week before, the most frequent come first. #}
{% macro trend_scores(rows, name) -%}
    {%- set community = ['platform', 'instance', 'community'] -%}
    select
        scores.*,
        row_number() over (
            partition by {{ community | join(', ') }}
            order by scores.score desc, scores.posts desc, scores.{{ name | join(', scores.') }}
        ) as trend_rank
    from (
        select
            counted.*,
            round(counted.posts * ln(
                (counted.posts / totals.posts) / ((counted.posts_before + 0.5) / case when totals.posts_before > 0 then totals.posts_before + 1 else totals.posts end)
            ), 6) as score
        from {{ rows }} as counted
        inner join (
            {{ posts_of_two_weeks(ref('activity_by_day')) }}
        ) as totals
            on {{ same_key('totals', 'counted', community) }}
        where counted.posts >= {{ var('trending_posts') }}
    ) as scores
    where scores.score > 0
{%- endmacro %}
