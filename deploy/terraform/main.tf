# contactsync on Azure: the same as ../bicep/main.bicep, which says why each setting is as it is. A test compares the two.

data "azurerm_resource_group" "this" {
  name = var.resource_group_name
}

data "azurerm_client_config" "this" {}

locals {
  location    = coalesce(var.location, data.azurerm_resource_group.this.location)
  suffix      = substr(sha256(data.azurerm_resource_group.this.id), 0, 13)
  is_private  = var.network == "private"
  secret_name = "graph-client-secret"
  port        = 9464

  # Built-in roles; their ids are the same in every tenant.
  roles = {
    data_receiver          = "4f6d3b9b-027b-4f4c-9142-0e5a2a2247e0"
    data_sender            = "69a216fc-b8fb-44d8-bc22-1f3c2cd27a39"
    acr_pull               = "7f951dda-4ed3-4680-a7ca-43fe172d538d"
    key_vault_secrets_user = "4633458b-17de-408a-b874-0445c86b69e6"
  }
  role_prefix = "/subscriptions/${data.azurerm_client_config.this.subscription_id}/providers/Microsoft.Authorization/roleDefinitions"
}

resource "azurerm_servicebus_namespace" "this" {
  name                          = "${var.name}-${local.suffix}"
  location                      = local.location
  resource_group_name           = data.azurerm_resource_group.this.name
  sku                           = local.is_private ? "Premium" : "Standard"
  capacity                      = local.is_private ? 1 : 0
  premium_messaging_partitions  = local.is_private ? 1 : 0
  minimum_tls_version           = "1.2"
  local_auth_enabled            = true
  public_network_access_enabled = !local.is_private || length(var.dataverse_addresses) > 0

  dynamic "network_rule_set" {
    for_each = local.is_private ? [1] : []
    content {
      public_network_access_enabled = length(var.dataverse_addresses) > 0
      default_action                = "Deny"
      trusted_services_allowed      = false
      ip_rules                      = var.dataverse_addresses
    }
  }
}

resource "azurerm_servicebus_queue" "contacts" {
  name                                    = var.queue_name
  namespace_id                            = azurerm_servicebus_namespace.this.id
  lock_duration                           = "PT1M"
  max_delivery_count                      = 10
  default_message_ttl                     = "P14D"
  dead_lettering_on_message_expiration    = true
  requires_duplicate_detection            = true
  duplicate_detection_history_time_window = "PT10M"
  requires_session                        = false
  max_size_in_megabytes                   = 5120
}

resource "azurerm_servicebus_queue" "lease" {
  name                                 = var.lease_queue_name
  namespace_id                         = azurerm_servicebus_namespace.this.id
  requires_session                     = true
  lock_duration                        = "PT30S"
  dead_lettering_on_message_expiration = false
  default_message_ttl                  = "P7D"
  max_size_in_megabytes                = 1024
}

resource "azurerm_servicebus_queue_authorization_rule" "dataverse" {
  name     = "dataverse"
  queue_id = azurerm_servicebus_queue.contacts.id
  listen   = false
  send     = true
  manage   = false
}

resource "azurerm_user_assigned_identity" "this" {
  name                = var.name
  location            = local.location
  resource_group_name = data.azurerm_resource_group.this.name
}

resource "azurerm_role_assignment" "receive" {
  scope              = azurerm_servicebus_queue.contacts.id
  role_definition_id = "${local.role_prefix}/${local.roles.data_receiver}"
  principal_id       = azurerm_user_assigned_identity.this.principal_id
  principal_type     = "ServicePrincipal"
}

resource "azurerm_role_assignment" "send" {
  scope              = azurerm_servicebus_queue.contacts.id
  role_definition_id = "${local.role_prefix}/${local.roles.data_sender}"
  principal_id       = azurerm_user_assigned_identity.this.principal_id
  principal_type     = "ServicePrincipal"
}

resource "azurerm_role_assignment" "lease" {
  scope              = azurerm_servicebus_queue.lease.id
  role_definition_id = "${local.role_prefix}/${local.roles.data_receiver}"
  principal_id       = azurerm_user_assigned_identity.this.principal_id
  principal_type     = "ServicePrincipal"
}

resource "azurerm_role_assignment" "read_secret" {
  scope              = azurerm_key_vault.this.id
  role_definition_id = "${local.role_prefix}/${local.roles.key_vault_secrets_user}"
  principal_id       = azurerm_user_assigned_identity.this.principal_id
  principal_type     = "ServicePrincipal"
}

resource "azurerm_role_assignment" "pull" {
  count              = var.registry_name == "" ? 0 : 1
  scope              = data.azurerm_container_registry.this[0].id
  role_definition_id = "${local.role_prefix}/${local.roles.acr_pull}"
  principal_id       = azurerm_user_assigned_identity.this.principal_id
  principal_type     = "ServicePrincipal"
}

data "azurerm_container_registry" "this" {
  count               = var.registry_name == "" ? 0 : 1
  name                = var.registry_name
  resource_group_name = data.azurerm_resource_group.this.name
}

resource "azurerm_key_vault" "this" {
  name                          = "${var.name}-${substr(local.suffix, 0, 8)}"
  location                      = local.location
  resource_group_name           = data.azurerm_resource_group.this.name
  tenant_id                     = data.azurerm_client_config.this.tenant_id
  sku_name                      = "standard"
  rbac_authorization_enabled    = true
  purge_protection_enabled      = true
  soft_delete_retention_days    = 90
  public_network_access_enabled = !local.is_private

  network_acls {
    bypass         = "AzureServices"
    default_action = local.is_private ? "Deny" : "Allow"
  }
}

# By Azure Resource Manager, as Bicep does it: whoever applies needs no role in the vault, and reaches it also when it is closed.
# azurerm_key_vault_secret would ask the vault itself.
resource "azapi_resource_action" "secret" {
  count       = var.users_client_secret_version == 0 ? 0 : 1
  type        = "Microsoft.KeyVault/vaults/secrets@2023-07-01"
  resource_id = "${azurerm_key_vault.this.id}/secrets/${local.secret_name}"
  method      = "PUT"

  body = {
    properties = {
      contentType = "client secret of the app registration that writes to Graph"
      attributes  = var.users_client_secret_ends == 0 ? {} : { exp = var.users_client_secret_ends }
    }
  }
  sensitive_body = {
    properties = {
      value = var.users_client_secret
    }
  }
  sensitive_body_version = {
    "properties.value" = tostring(var.users_client_secret_version)
  }
}
