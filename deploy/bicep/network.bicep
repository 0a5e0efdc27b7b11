// A network of one's own: the worker runs in it, and Service Bus and the vault have their addresses there. main.bicep asks for
// it with network = 'private'.

targetScope = 'resourceGroup'

param name string

param location string

@description('Addresses of the subnet that the worker runs in.')
param appsAddresses string

@description('Addresses of the subnet of the private endpoints.')
param endpointsAddresses string

@description('Id of the namespace of Service Bus.')
param namespaceId string

@description('Id of the vault.')
param vaultId string

// The zones by which clients of the public cloud find a private endpoint; other clouds have other names.
var doors = [
  {
    name: 'servicebus'
    target: namespaceId
    group: 'namespace'
    zone: 'privatelink.servicebus.windows.net'
  }
  {
    name: 'vault'
    target: vaultId
    group: 'vault'
    zone: 'privatelink.vaultcore.azure.net'
  }
]

// Nothing outside may begin a connection to anything in the network. The worker begins all of its own.
resource closed 'Microsoft.Network/networkSecurityGroups@2024-05-01' = {
  name: name
  location: location
  properties: {
    securityRules: [
      {
        name: 'nobody-from-outside'
        properties: {
          priority: 4000
          direction: 'Inbound'
          access: 'Deny'
          protocol: '*'
          sourceAddressPrefix: 'Internet'
          sourcePortRange: '*'
          destinationAddressPrefix: '*'
          destinationPortRange: '*'
        }
      }
    ]
  }
}

resource net 'Microsoft.Network/virtualNetworks@2024-05-01' = {
  name: name
  location: location
  properties: {
    addressSpace: {
      addressPrefixes: [
        appsAddresses
        endpointsAddresses
      ]
    }
    subnets: [
      {
        name: 'apps'
        properties: {
          addressPrefix: appsAddresses
          networkSecurityGroup: {
            id: closed.id
          }
          delegations: [
            {
              name: 'environments'
              properties: {
                serviceName: 'Microsoft.App/environments'
              }
            }
          ]
        }
      }
      {
        name: 'endpoints'
        properties: {
          addressPrefix: endpointsAddresses
          networkSecurityGroup: {
            id: closed.id
          }
        }
      }
    ]
  }
}

resource zone 'Microsoft.Network/privateDnsZones@2024-06-01' = [for door in doors: {
  name: door.zone
  location: 'global'
}]

resource link 'Microsoft.Network/privateDnsZones/virtualNetworkLinks@2024-06-01' = [for (door, at) in doors: {
  parent: zone[at]
  name: name
  location: 'global'
  properties: {
    registrationEnabled: false
    virtualNetwork: {
      id: net.id
    }
  }
}]

resource endpoint 'Microsoft.Network/privateEndpoints@2024-05-01' = [for door in doors: {
  name: '${name}-${door.name}'
  location: location
  properties: {
    subnet: {
      id: '${net.id}/subnets/endpoints'
    }
    privateLinkServiceConnections: [
      {
        name: door.name
        properties: {
          privateLinkServiceId: door.target
          groupIds: [
            door.group
          ]
        }
      }
    ]
  }
}]

// Writes the address of the endpoint into the zone.
resource record 'Microsoft.Network/privateEndpoints/privateDnsZoneGroups@2024-05-01' = [for (door, at) in doors: {
  parent: endpoint[at]
  name: 'default'
  properties: {
    privateDnsZoneConfigs: [
      {
        name: door.name
        properties: {
          privateDnsZoneId: zone[at].id
        }
      }
    ]
  }
}]
