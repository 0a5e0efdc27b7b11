# With network = "private": the same as ../bicep/network.bicep.

locals {
  here = local.is_private ? 1 : 0
  doors = local.is_private ? {
    servicebus = {
      target = azurerm_servicebus_namespace.this.id
      group  = "namespace"
      zone   = "privatelink.servicebus.windows.net"
    }
    vault = {
      target = azurerm_key_vault.this.id
      group  = "vault"
      zone   = "privatelink.vaultcore.azure.net"
    }
  } : {}
}

resource "azurerm_network_security_group" "closed" {
  count               = local.here
  name                = var.name
  location            = local.location
  resource_group_name = data.azurerm_resource_group.this.name

  security_rule {
    name                       = "nobody-from-outside"
    priority                   = 4000
    direction                  = "Inbound"
    access                     = "Deny"
    protocol                   = "*"
    source_address_prefix      = "Internet"
    source_port_range          = "*"
    destination_address_prefix = "*"
    destination_port_range     = "*"
  }
}

resource "azurerm_virtual_network" "this" {
  count               = local.here
  name                = var.name
  location            = local.location
  resource_group_name = data.azurerm_resource_group.this.name
  address_space       = [var.apps_addresses, var.endpoints_addresses]
}

resource "azurerm_subnet" "apps" {
  count                = local.here
  name                 = "apps"
  resource_group_name  = data.azurerm_resource_group.this.name
  virtual_network_name = azurerm_virtual_network.this[0].name
  address_prefixes     = [var.apps_addresses]

  delegation {
    name = "environments"
    service_delegation {
      name    = "Microsoft.App/environments"
      actions = ["Microsoft.Network/virtualNetworks/subnets/join/action"]
    }
  }
}

resource "azurerm_subnet" "endpoints" {
  count                = local.here
  name                 = "endpoints"
  resource_group_name  = data.azurerm_resource_group.this.name
  virtual_network_name = azurerm_virtual_network.this[0].name
  address_prefixes     = [var.endpoints_addresses]
}

resource "azurerm_subnet_network_security_group_association" "apps" {
  count                     = local.here
  subnet_id                 = azurerm_subnet.apps[0].id
  network_security_group_id = azurerm_network_security_group.closed[0].id
}

resource "azurerm_subnet_network_security_group_association" "endpoints" {
  count                     = local.here
  subnet_id                 = azurerm_subnet.endpoints[0].id
  network_security_group_id = azurerm_network_security_group.closed[0].id
}

resource "azurerm_private_dns_zone" "this" {
  for_each            = local.doors
  name                = each.value.zone
  resource_group_name = data.azurerm_resource_group.this.name
}

resource "azurerm_private_dns_zone_virtual_network_link" "this" {
  for_each              = local.doors
  name                  = var.name
  resource_group_name   = data.azurerm_resource_group.this.name
  private_dns_zone_name = azurerm_private_dns_zone.this[each.key].name
  virtual_network_id    = azurerm_virtual_network.this[0].id
  registration_enabled  = false
}

resource "azurerm_private_endpoint" "this" {
  for_each            = local.doors
  name                = "${var.name}-${each.key}"
  location            = local.location
  resource_group_name = data.azurerm_resource_group.this.name
  subnet_id           = azurerm_subnet.endpoints[0].id

  private_service_connection {
    name                           = each.key
    private_connection_resource_id = each.value.target
    is_manual_connection           = false
    subresource_names              = [each.value.group]
  }

  private_dns_zone_group {
    name                 = "default"
    private_dns_zone_ids = [azurerm_private_dns_zone.this[each.key].id]
  }
}
