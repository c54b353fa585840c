select platform, instance, community, thread_id, post_id, run_id, payload, gone, created_at, observed_at, hour
from {{ source('raw', 'discourse_posts') }}
where post_id is not null
