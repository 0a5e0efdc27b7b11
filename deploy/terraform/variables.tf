# The same parameters as those of ../bicep/main.bicep, with the same defaults; a test compares them.

variable "resource_group_name" {
  type        = string
  description = "The resource group that everything is made in. It has to be there."
}

variable "name" {
  type        = string
  default     = "contactsync"
  description = "Names begin with it. Namespace and vault get a suffix, as their names must be unique in all of Azure."

  validation {
    condition     = length(var.name) >= 3 && length(var.name) <= 11
    error_message = "3 to 11 characters."
  }
}

variable "location" {
  type        = string
  default     = null
  description = "Null: that of the resource group."
}

variable "image" {
  type        = string
  description = "The image of the worker, with its digest."
}

variable "users_tenant" {
  type        = string
  description = "Id or domain of the tenant that holds the users."
}

variable "users_client_id" {
  type        = string
  description = "Application id of the app registration in that tenant."
}

variable "users_client_secret" {
  type        = string
  default     = ""
  ephemeral   = true
  sensitive   = true
  description = "The value of its client secret. It is sent when users_client_secret_version changes, and is in no state."
}

variable "users_client_secret_version" {
  type        = number
  default     = 0
  description = "Raise it by one to send users_client_secret to the vault. 0: the secret is in the vault already and stays as it is."
}

variable "users_client_secret_ends" {
  type        = number
  default     = 0
  description = "When that secret ends, in seconds since 1970: the vault then warns before it does. 0: the vault is not told."
}

variable "queue_name" {
  type        = string
  default     = "contacts"
  description = "The queue that Dataverse posts to."
}

variable "lease_queue_name" {
  type        = string
  default     = "contacts-lease"
  description = "The queue with sessions by which the replicas agree which of them writes. It is always made."
}

variable "replicas" {
  type        = number
  default     = 2
  description = "How many replicas run, whatever the length of the queue: one writes, the others stand by and take over within seconds."

  validation {
    condition     = var.replicas >= 1 && var.replicas <= 5
    error_message = "1 to 5."
  }
}

variable "guard_attribute" {
  type        = string
  description = "Attribute of the user that guards against old changes, such as extensionAttribute15. Empty: none; then an older change that comes back after a restart or a takeover can overwrite a newer one."
}

variable "action_group_id" {
  type        = string
  default     = ""
  description = "Id of an action group that alerts go to."
}

variable "alert_email" {
  type        = string
  default     = ""
  description = "Address that alerts are mailed to, by an action group that is made for it if action_group_id names none. Without both, alerts are shown in the portal only."
}

variable "registry_name" {
  type        = string
  default     = ""
  description = "Name of an Azure Container Registry of this resource group that the image is in; the identity may then pull from it. Empty: a registry that asks for no credential."
}

variable "network" {
  type        = string
  default     = "public"
  description = "public: Service Bus and the vault can be reached by whoever holds a role or a key. private: only from a network of their own, in which the worker runs, with Service Bus Premium. It has to be chosen before the first apply."

  validation {
    condition     = contains(["public", "private"], var.network)
    error_message = "public or private."
  }
}

variable "apps_addresses" {
  type        = string
  default     = "10.90.0.0/27"
  description = "Addresses in that network for the worker, /27 or more. They must not overlap those of networks that it is to be connected with."
}

variable "endpoints_addresses" {
  type        = string
  default     = "10.90.0.32/28"
  description = "Addresses in that network for the private endpoints, /28 or more."
}

variable "dataverse_addresses" {
  type        = list(string)
  default     = []
  description = "With network = private: addresses that Dataverse posts from, as CIDR ranges. Empty: nobody reaches Service Bus from outside, and Dataverse needs a way into the network."
}
