# The same as ../bicep/alerts.bicep, which is told by the names of the alerts.

locals {
  alerts = {
    dead-letters = {
      description = "Messages that contactsync could not apply. The reason of each is in deploy/runbook.md."
      metric      = "DeadletteredMessages"
      aggregation = "Average"
      threshold   = 0
      window      = "PT5M"
      severity    = 2
    }
    backlog = {
      description = "More messages wait than the write quota of Graph works off in half an hour: is the worker at work?"
      metric      = "ActiveMessages"
      aggregation = "Average"
      threshold   = 36000
      window      = "PT15M"
      severity    = 1
    }
    never-empty = {
      description = "For an hour there was no moment at which no message waited: is the worker at work, or has its secret ended?"
      metric      = "ActiveMessages"
      aggregation = "Minimum"
      threshold   = 0
      window      = "PT1H"
      severity    = 1
    }
  }
  action_group_ids = var.action_group_id != "" ? [var.action_group_id] : azurerm_monitor_action_group.mail[*].id
}

resource "azurerm_monitor_action_group" "mail" {
  count               = var.action_group_id == "" && var.alert_email != "" ? 1 : 0
  name                = var.name
  resource_group_name = data.azurerm_resource_group.this.name
  short_name          = substr(var.name, 0, 12)

  email_receiver {
    name                    = "administrator"
    email_address           = var.alert_email
    use_common_alert_schema = true
  }
}

resource "azurerm_monitor_metric_alert" "this" {
  for_each            = local.alerts
  name                = "${var.name}-${each.key}"
  resource_group_name = data.azurerm_resource_group.this.name
  description         = each.value.description
  severity            = each.value.severity
  scopes              = [azurerm_servicebus_namespace.this.id]
  frequency           = "PT5M"
  window_size         = each.value.window

  criteria {
    metric_namespace = "Microsoft.ServiceBus/namespaces"
    metric_name      = each.value.metric
    aggregation      = each.value.aggregation
    operator         = "GreaterThan"
    threshold        = each.value.threshold

    dimension {
      name     = "EntityName"
      operator = "Include"
      values   = [var.queue_name]
    }
  }

  dynamic "action" {
    for_each = local.action_group_ids
    content {
      action_group_id = action.value
    }
  }
}
