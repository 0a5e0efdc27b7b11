output "namespace_name" {
  value = azurerm_servicebus_namespace.this.name
}

output "queue_name" {
  value = azurerm_servicebus_queue.contacts.name
}

output "lease_queue_name" {
  value = azurerm_servicebus_queue.lease.name
}

output "vault_name" {
  value = azurerm_key_vault.this.name
}

output "dataverse_rule_id" {
  value       = azurerm_servicebus_queue_authorization_rule.dataverse.id
  description = "What to ask for the connection string of the service endpoint, as the guide shows."
}
