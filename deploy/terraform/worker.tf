resource "azurerm_log_analytics_workspace" "this" {
  name                = var.name
  location            = local.location
  resource_group_name = data.azurerm_resource_group.this.name
  sku                 = "PerGB2018"
  retention_in_days   = 30
}

resource "azurerm_container_app_environment" "this" {
  name                           = var.name
  location                       = local.location
  resource_group_name            = data.azurerm_resource_group.this.name
  logs_destination               = "log-analytics"
  log_analytics_workspace_id     = azurerm_log_analytics_workspace.this.id
  public_network_access          = local.is_private ? "Disabled" : "Enabled"
  internal_load_balancer_enabled = local.is_private ? true : null
  infrastructure_subnet_id       = local.is_private ? azurerm_subnet.apps[0].id : null

  dynamic "workload_profile" {
    for_each = local.is_private ? [1] : []
    content {
      name                  = "Consumption"
      workload_profile_type = "Consumption"
    }
  }
}

locals {
  environment = {
    CONTACTSYNC__SERVICE_BUS__NAMESPACE                  = azurerm_servicebus_namespace.this.name
    CONTACTSYNC__SERVICE_BUS__QUEUE                      = azurerm_servicebus_queue.contacts.name
    CONTACTSYNC__REPLICAS__LEASE_QUEUE                   = azurerm_servicebus_queue.lease.name
    CONTACTSYNC__SERVICE_BUS__IDENTITY__KIND             = "managed"
    CONTACTSYNC__SERVICE_BUS__IDENTITY__MANAGED_IDENTITY = azurerm_user_assigned_identity.this.client_id
    CONTACTSYNC__IDENTITY__KIND                          = "secret"
    CONTACTSYNC__IDENTITY__TENANT                        = var.users_tenant
    CONTACTSYNC__IDENTITY__CLIENT_ID                     = var.users_client_id
    CONTACTSYNC__IDENTITY__CLIENT_SECRET_FILE            = "/run/secrets/${local.secret_name}"
    CONTACTSYNC__GUARD__ATTRIBUTE                        = var.guard_attribute
    CONTACTSYNC__HTTP__LISTEN                            = "0.0.0.0:${local.port}"
  }
}

resource "azurerm_container_app" "worker" {
  name                         = var.name
  container_app_environment_id = azurerm_container_app_environment.this.id
  resource_group_name          = data.azurerm_resource_group.this.name
  revision_mode                = "Single"
  depends_on = [
    azurerm_role_assignment.receive,
    azurerm_role_assignment.send,
    azurerm_role_assignment.lease,
    azurerm_role_assignment.read_secret,
    azurerm_role_assignment.pull,
    azapi_resource_action.secret,
    azurerm_private_endpoint.this,
  ]

  identity {
    type         = "UserAssigned"
    identity_ids = [azurerm_user_assigned_identity.this.id]
  }

  dynamic "registry" {
    for_each = data.azurerm_container_registry.this
    content {
      server   = registry.value.login_server
      identity = azurerm_user_assigned_identity.this.id
    }
  }

  secret {
    name                = local.secret_name
    key_vault_secret_id = "${azurerm_key_vault.this.vault_uri}secrets/${local.secret_name}"
    identity            = azurerm_user_assigned_identity.this.id
  }

  template {
    min_replicas                     = var.replicas
    max_replicas                     = var.replicas
    termination_grace_period_seconds = 40

    container {
      name   = "contactsync"
      image  = var.image
      args   = ["run"]
      cpu    = 0.25
      memory = "0.5Gi"

      dynamic "env" {
        for_each = local.environment
        content {
          name  = env.key
          value = env.value
        }
      }

      volume_mounts {
        name = "secrets"
        path = "/run/secrets"
      }
      volume_mounts {
        name = "journal"
        path = "/var/lib/contactsync"
      }

      liveness_probe {
        transport        = "HTTP"
        path             = "/livez"
        port             = local.port
        interval_seconds = 20
        timeout          = 5
      }
      readiness_probe {
        transport        = "HTTP"
        path             = "/readyz"
        port             = local.port
        interval_seconds = 10
        timeout          = 5
      }
    }

    volume {
      name         = "journal"
      storage_type = "EmptyDir"
    }
    # Every secret of the app is a file in it, under its name.
    volume {
      name         = "secrets"
      storage_type = "Secret"
    }
  }
}
