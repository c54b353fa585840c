# Where

variable "project" {
  description = "The Google Cloud project, which exists and has billing. One project is one threadlake."
  type        = string
  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project))
    error_message = "A project's id has 6 to 30 small letters, digits and hyphens, and begins with a letter."
  }
}

variable "region" {
  description = "Where the virtual machine, images and Cloud Run are, such as europe-west1."
  type        = string
  default     = "europe-west1"
  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]+$", var.region))
    error_message = "A region is named like europe-west1."
  }
}

variable "zone" {
  description = "The letter of the machine's zone in the region."
  type        = string
  default     = "b"
  validation {
    condition     = can(regex("^[a-f]$", var.zone))
    error_message = "A zone is one letter, such as b."
  }
}

variable "location" {
  description = "Where lake and warehouse are: a region, or EU or US. Default: the region. It can never be changed afterwards."
  type        = string
  default     = null
  validation {
    condition     = var.location == null || can(regex("^(EU|US|[a-z]+-[a-z]+[0-9]+)$", coalesce(var.location, "EU")))
    error_message = "A location is EU, US or a region such as europe-west1."
  }
}

variable "kms_key" {
  description = "A Cloud KMS key of your own for lake, warehouse and the database's disk; in the same location as they are. Default: Google's keys."
  type        = string
  default     = null
  validation {
    condition     = var.kms_key == null || can(regex("^projects/[^/]+/locations/[^/]+/keyRings/[^/]+/cryptoKeys/[^/]+$", coalesce(var.kms_key, "-")))
    error_message = "A key is named projects/P/locations/L/keyRings/R/cryptoKeys/K."
  }
}

# The lake

variable "lake_bucket" {
  description = "The name of the lake's bucket. Default: the project's id with -lake after it."
  type        = string
  default     = null
  validation {
    condition     = var.lake_bucket == null || can(regex("^[a-z0-9][a-z0-9_-]{1,61}[a-z0-9]$", coalesce(var.lake_bucket, "lake")))
    error_message = "A bucket's name has 3 to 63 small letters, digits, hyphens and underscores."
  }
}

variable "lake_cold_after_days" {
  description = "After how many days each class of storage begins: {NEARLINE = 90}. Nearline costs at least 30 days, Coldline 90, Archive 365, and to read them costs, too."
  type        = map(number)
  default     = { NEARLINE = 90, COLDLINE = 365 }
  validation {
    condition = alltrue([
      for class, days in var.lake_cold_after_days :
      contains(["NEARLINE", "COLDLINE", "ARCHIVE"], class) && days >= 30 && days == floor(days)
    ])
    error_message = "Classes are NEARLINE, COLDLINE and ARCHIVE; their days are whole numbers from 30."
  }
}

variable "lake_delete_after_days" {
  description = "After how many days the lake's rows are deleted; what is in the warehouse stays. Default: never, so that the warehouse can always be rebuilt from the lake. Commits and states stay, so that nothing is crawled again."
  type        = number
  default     = null
  validation {
    condition     = var.lake_delete_after_days == null || coalesce(var.lake_delete_after_days, 0) >= 30
    error_message = "Rows younger than 30 days are needed: for hours that are read again, and for raw tables that are loaded again."
  }
}

variable "lake_undelete_days" {
  description = "For how many days a deleted object can be brought back; 0 switches it off."
  type        = number
  default     = 7
  validation {
    condition     = var.lake_undelete_days == 0 || (var.lake_undelete_days >= 7 && var.lake_undelete_days <= 90)
    error_message = "Soft delete keeps 7 to 90 days, or 0."
  }
}

# Dagster

variable "start" {
  description = "The first hour that is read hour by hour, such as 2026-11-01; a community's past goes further back by itself."
  type        = string
  validation {
    condition     = can(regex("^\\d{4}-\\d{2}-\\d{2}(T\\d{2})?$", var.start))
    error_message = "A day such as 2026-11-01, or an hour such as 2026-11-01T13, in UTC."
  }
}

variable "machine_type" {
  description = "Of the virtual machine: Dagster, its database, crawls, and loads, which BigQuery does the work of."
  type        = string
  default     = "e2-standard-2"
  validation {
    condition     = can(regex("^[a-z][a-z0-9]*-[a-z0-9-]+$", var.machine_type))
    error_message = "A machine type is named like e2-standard-2."
  }
}

variable "disk_gb" {
  description = "Of the disk with Dagster's database and what crawls put aside."
  type        = number
  default     = 30
  validation {
    condition     = var.disk_gb >= 10 && var.disk_gb <= 2000
    error_message = "10 to 2000 GB. It can grow later, but not shrink."
  }
}

variable "snapshots_kept_days" {
  description = "How long the disk's daily snapshots are kept."
  type        = number
  default     = 14
  validation {
    condition     = var.snapshots_kept_days >= 1
    error_message = "At least a day."
  }
}

variable "operators" {
  description = "Who may reach Dagster and the machine through IAP, such as group:data@example.org."
  type        = set(string)
  default     = []
  validation {
    condition     = alltrue([for one in var.operators : can(regex("^(user|group|serviceAccount|domain):.+", one))])
    error_message = "Members are named user:…, group:…, serviceAccount:… or domain:…."
  }
}

variable "settings" {
  description = "More of threadlake's settings, as the README names them: {THREADLAKE_CONTACT = \"data@example.org\"}. No secrets."
  type        = map(string)
  default     = {}
  validation {
    condition     = alltrue([for name in keys(var.settings) : can(regex("^THREADLAKE_[A-Z_]+$", name))])
    error_message = "Settings are named THREADLAKE_…; secrets go to Secret Manager."
  }
}

variable "secrets" {
  description = "The secrets that crawls read from the environment, without their values: DISCORD_TOKEN, THREADLAKE_WEBHOOK, DISCOURSE_KEY_<HOST>."
  type        = set(string)
  default     = []
  validation {
    condition = alltrue([
      for name in var.secrets : contains(["DISCORD_TOKEN", "THREADLAKE_WEBHOOK"], name) || can(regex("^DISCOURSE_KEY_[A-Z0-9_]+$", name))
    ])
    error_message = "Secrets are DISCORD_TOKEN, THREADLAKE_WEBHOOK and DISCOURSE_KEY_<HOST>."
  }
}

variable "cloud_run_cpu" {
  description = "Processors of the Cloud Run job that takes runs which are too big for the machine."
  type        = number
  default     = 2
  validation {
    condition     = contains([1, 2, 4, 8], var.cloud_run_cpu)
    error_message = "1, 2, 4 or 8."
  }
}

# The web application

variable "dashboard" {
  description = "Whether the web application runs on Cloud Run."
  type        = bool
  default     = false
}

variable "dashboard_readers" {
  description = "Who may see it, through IAP: user:…, group:… or domain:…."
  type        = set(string)
  default     = []
  validation {
    condition     = alltrue([for one in var.dashboard_readers : can(regex("^(user|group|domain):.+", one))])
    error_message = "Readers are named user:…, group:… or domain:…; it is never open to everybody."
  }
}

# Alerts, budget, continuous integration

variable "alert_email" {
  description = "Where alerts go."
  type        = string
  validation {
    condition     = can(regex("^[^@\\s]+@[^@\\s]+$", var.alert_email))
    error_message = "An e-mail address."
  }
}

variable "billing_account" {
  description = "The billing account that the budget is for, such as 012345-6789AB-CDEF01. Default: no budget."
  type        = string
  default     = null
  validation {
    condition     = var.billing_account == null || can(regex("^[0-9A-F]{6}-[0-9A-F]{6}-[0-9A-F]{6}$", coalesce(var.billing_account, "-")))
    error_message = "A billing account is named like 012345-6789AB-CDEF01."
  }
}

variable "budget" {
  description = "A month's budget in the billing account's currency; `threadlake cost` estimates what a month costs."
  type        = number
  default     = 150
  validation {
    condition     = var.budget >= 1 && var.budget == floor(var.budget)
    error_message = "A whole number from 1."
  }
}

variable "github_repository" {
  description = "The repository whose workflows may deploy, such as example/threadlake. Default: none."
  type        = string
  default     = null
  validation {
    condition     = var.github_repository == null || can(regex("^[\\w.-]+/[\\w.-]+$", coalesce(var.github_repository, "-")))
    error_message = "A repository is named OWNER/NAME."
  }
}

variable "state_bucket" {
  description = "The bucket of Terraform's state, which pull requests may then read to show their plan. Default: they may not."
  type        = string
  default     = null
}
