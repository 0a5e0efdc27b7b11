// contactsync on Azure: a queue, a second one by which the replicas agree which of them writes, an identity that may receive
// from and send to the first and receive from the second, the worker as a Container App with a fixed number of replicas, its
// Graph secret in a Key Vault, and alerts.
//
//   az deployment group create --resource-group RG --template-file main.bicep --parameters main.bicepparam

targetScope = 'resourceGroup'

@description('Names begin with it. Namespace and vault get a suffix, as their names must be unique in all of Azure.')
@minLength(3)
@maxLength(11)
param name string = 'contactsync'

param location string = resourceGroup().location

@description('The image of the worker, with its digest.')
param image string

@description('Id or domain of the tenant that holds the users.')
param usersTenant string

@description('Application id of the app registration in that tenant.')
param usersClientId string

@description('The value of its client secret. Empty: the secret is in the vault already and stays as it is.')
@secure()
param usersClientSecret string = ''

@description('When that secret ends, in seconds since 1970: the vault then warns before it does. 0: the vault is not told.')
param usersClientSecretEnds int = 0

param queueName string = 'contacts'

@description('The queue with sessions by which the replicas agree which of them writes. It is always made.')
param leaseQueueName string = 'contacts-lease'

@description('How many replicas run, whatever the length of the queue: one writes, the others stand by and take over within seconds. Graph allows 20 writes a second to one app, and one replica can use them all, so more of them make nothing faster.')
@minValue(1)
@maxValue(5)
param replicas int = 2

@description('Attribute of the user that guards against old changes, such as extensionAttribute15. Empty: none; then an older change that comes back after a restart or a takeover can overwrite a newer one.')
param guardAttribute string

@description('Id of an action group that alerts go to.')
param actionGroupId string = ''

@description('Address that alerts are mailed to, by an action group that is made for it if actionGroupId names none. Without both, alerts are shown in the portal only.')
param alertEmail string = ''

@description('Name of an Azure Container Registry of this resource group that the image is in; the identity may then pull from it. Empty: a registry that asks for no credential.')
param registryName string = ''

@description('public: Service Bus and the vault can be reached by whoever holds a role or a key. private: only from a network of their own, in which the worker runs, with Service Bus Premium. It has to be chosen before the first deployment: an environment cannot be moved into a network.')
@allowed([
  'public'
  'private'
])
param network string = 'public'

@description('Addresses in that network for the worker, /27 or more. They must not overlap those of networks that it is to be connected with.')
param appsAddresses string = '10.90.0.0/27'

@description('Addresses in that network for the private endpoints, /28 or more.')
param endpointsAddresses string = '10.90.0.32/28'

@description('With network = private: addresses that Dataverse posts from, as CIDR ranges. Empty: nobody reaches Service Bus from outside, and Dataverse needs a way into the network.')
param dataverseAddresses array = []

var isPrivate = network == 'private'
var suffix = uniqueString(resourceGroup().id)
var secretName = 'graph-client-secret'
var port = 9464

// Built-in roles; their ids are the same in every tenant.
var dataReceiver = '4f6d3b9b-027b-4f4c-9142-0e5a2a2247e0'
var dataSender = '69a216fc-b8fb-44d8-bc22-1f3c2cd27a39'
var acrPull = '7f951dda-4ed3-4680-a7ca-43fe172d538d'
var keyVaultSecretsUser = '4633458b-17de-408a-b874-0445c86b69e6'

// Standard, as Basic has no duplicate detection; Premium, as only that one has private endpoints. Local authentication stays on,
// because Dataverse can only use a key.
resource namespace 'Microsoft.ServiceBus/namespaces@2024-01-01' = {
  name: '${name}-${suffix}'
  location: location
  sku: {
    name: isPrivate ? 'Premium' : 'Standard'
    tier: isPrivate ? 'Premium' : 'Standard'
    capacity: isPrivate ? 1 : null
  }
  properties: {
    minimumTlsVersion: '1.2'
    disableLocalAuth: false
    publicNetworkAccess: isPrivate && empty(dataverseAddresses) ? 'Disabled' : 'Enabled'
  }
}

// Dataverse is not in the network. It is let in by its addresses, and nobody else.
resource rules 'Microsoft.ServiceBus/namespaces/networkRuleSets@2024-01-01' = if (isPrivate) {
  parent: namespace
  name: 'default'
  properties: {
    publicNetworkAccess: empty(dataverseAddresses) ? 'Disabled' : 'Enabled'
    defaultAction: 'Deny'
    trustedServiceAccessEnabled: false
    ipRules: [for addresses in dataverseAddresses: {
      ipMask: addresses
      action: 'Allow'
    }]
  }
}

resource queue 'Microsoft.ServiceBus/namespaces/queues@2024-01-01' = {
  parent: namespace
  name: queueName
  properties: {
    // The worker renews; this is how long the messages of a replica that died are away.
    lockDuration: 'PT1M'
    // Only deaths of replicas count: the worker hands a message back as a copy with a count of its own.
    maxDeliveryCount: 10
    defaultMessageTimeToLive: 'P14D'
    // Without it, what expires is gone without a trace.
    deadLetteringOnMessageExpiration: true
    // A sender that repeats a message because it lost the answer. Copies of the worker have ids of their own.
    requiresDuplicateDetection: true
    duplicateDetectionHistoryTimeWindow: 'PT10M'
    // Dataverse sets no session, so a queue that asks for one takes nothing from it.
    requiresSession: false
    maxSizeInMegabytes: 5120
  }
}

// Its sessions are all that is used of it: the lock of one says which replica writes, its state what the next one must know.
resource leaseQueue 'Microsoft.ServiceBus/namespaces/queues@2024-01-01' = {
  parent: namespace
  name: leaseQueueName
  properties: {
    // It can only be chosen when the queue is made.
    requiresSession: true
    // For so long a replica that vanished without closing its connection keeps the others from taking over.
    lockDuration: 'PT30S'
    // What expires here is of no use to anybody.
    deadLetteringOnMessageExpiration: false
    defaultMessageTimeToLive: 'P7D'
    maxSizeInMegabytes: 1024
  }
}

// The key that the service endpoint of Dataverse is given: it can send to this queue and do nothing else.
resource dataverseRule 'Microsoft.ServiceBus/namespaces/queues/authorizationRules@2024-01-01' = {
  parent: queue
  name: 'dataverse'
  properties: {
    rights: [
      'Send'
    ]
  }
}

resource identity 'Microsoft.ManagedIdentity/userAssignedIdentities@2023-01-31' = {
  name: name
  location: location
}

resource receive 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(queue.id, identity.id, dataReceiver)
  scope: queue
  properties: {
    principalId: identity.properties.principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', dataReceiver)
  }
}

// For copies of messages that have to come back later.
resource send 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(queue.id, identity.id, dataSender)
  scope: queue
  properties: {
    principalId: identity.properties.principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', dataSender)
  }
}

// Listen covers the lock of a session and its state. Nothing is sent there.
resource lease 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(leaseQueue.id, identity.id, dataReceiver)
  scope: leaseQueue
  properties: {
    principalId: identity.properties.principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', dataReceiver)
  }
}

resource vault 'Microsoft.KeyVault/vaults@2023-07-01' = {
  name: '${name}-${substring(suffix, 0, 8)}'
  location: location
  properties: {
    tenantId: tenant().tenantId
    sku: {
      family: 'A'
      name: 'standard'
    }
    enableRbacAuthorization: true
    enableSoftDelete: true
    enablePurgeProtection: true
    softDeleteRetentionInDays: 90
    publicNetworkAccess: isPrivate ? 'Disabled' : 'Enabled'
    networkAcls: {
      // The secret is written by this deployment, and so past the network.
      bypass: 'AzureServices'
      defaultAction: isPrivate ? 'Deny' : 'Allow'
    }
  }
}

module privateNetwork 'network.bicep' = if (isPrivate) {
  name: '${name}-network'
  params: {
    name: name
    location: location
    appsAddresses: appsAddresses
    endpointsAddresses: endpointsAddresses
    namespaceId: namespace.id
    vaultId: vault.id
  }
}

resource secret 'Microsoft.KeyVault/vaults/secrets@2023-07-01' = if (!empty(usersClientSecret)) {
  parent: vault
  name: secretName
  properties: {
    value: usersClientSecret
    contentType: 'client secret of the app registration that writes to Graph'
    // 0 would be 1970, and the secret would be shown as one that has ended.
    attributes: usersClientSecretEnds == 0 ? {} : {
      exp: usersClientSecretEnds
    }
  }
}

resource readSecret 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(vault.id, identity.id, keyVaultSecretsUser)
  scope: vault
  properties: {
    principalId: identity.properties.principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', keyVaultSecretsUser)
  }
}

resource registry 'Microsoft.ContainerRegistry/registries@2023-07-01' existing = {
  name: empty(registryName) ? 'unused' : registryName
}

resource pull 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (!empty(registryName)) {
  name: guid(registry.id, identity.id, acrPull)
  scope: registry
  properties: {
    principalId: identity.properties.principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', acrPull)
  }
}

resource logs 'Microsoft.OperationalInsights/workspaces@2023-09-01' = {
  name: name
  location: location
  properties: {
    sku: {
      name: 'PerGB2018'
    }
    retentionInDays: 30
  }
}

resource apps 'Microsoft.App/managedEnvironments@2025-01-01' = {
  name: name
  location: location
  dependsOn: [
    privateNetwork
  ]
  properties: {
    publicNetworkAccess: isPrivate ? 'Disabled' : 'Enabled'
    vnetConfiguration: isPrivate ? {
      internal: true
      infrastructureSubnetId: resourceId('Microsoft.Network/virtualNetworks/subnets', name, 'apps')
    } : null
    // With workload profiles a subnet of /27 is enough.
    workloadProfiles: isPrivate ? [
      {
        name: 'Consumption'
        workloadProfileType: 'Consumption'
      }
    ] : null
    appLogsConfiguration: {
      destination: 'log-analytics'
      logAnalyticsConfiguration: {
        customerId: logs.properties.customerId
        sharedKey: logs.listKeys().primarySharedKey
      }
    }
  }
}

resource worker 'Microsoft.App/containerApps@2025-01-01' = {
  name: name
  location: location
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: {
      '${identity.id}': {}
    }
  }
  dependsOn: [
    receive
    send
    lease
    readSecret
    secret
    pull
  ]
  properties: {
    environmentId: apps.id
    configuration: {
      activeRevisionsMode: 'Single'
      // No ingress: the worker takes its work from the queue.
      registries: empty(registryName) ? [] : [
        {
          // The end of the name differs from cloud to cloud.
          server: '${registryName}${environment().suffixes.acrLoginServer}'
          identity: identity.id
        }
      ]
      secrets: [
        {
          name: secretName
          keyVaultUrl: '${vault.properties.vaultUri}secrets/${secretName}'
          identity: identity.id
        }
      ]
    }
    template: {
      // Longer than pool.grace, in which the worker finishes what is under way, and then hands over.
      terminationGracePeriodSeconds: 40
      containers: [
        {
          name: 'contactsync'
          image: image
          args: [
            'run'
          ]
          resources: {
            cpu: json('0.25')
            memory: '0.5Gi'
          }
          env: [
            {
              name: 'CONTACTSYNC__SERVICE_BUS__NAMESPACE'
              value: namespace.name
            }
            {
              name: 'CONTACTSYNC__SERVICE_BUS__QUEUE'
              value: queue.name
            }
            {
              name: 'CONTACTSYNC__REPLICAS__LEASE_QUEUE'
              value: leaseQueue.name
            }
            {
              name: 'CONTACTSYNC__SERVICE_BUS__IDENTITY__KIND'
              value: 'managed'
            }
            {
              name: 'CONTACTSYNC__SERVICE_BUS__IDENTITY__MANAGED_IDENTITY'
              value: identity.properties.clientId
            }
            {
              name: 'CONTACTSYNC__IDENTITY__KIND'
              value: 'secret'
            }
            {
              name: 'CONTACTSYNC__IDENTITY__TENANT'
              value: usersTenant
            }
            {
              name: 'CONTACTSYNC__IDENTITY__CLIENT_ID'
              value: usersClientId
            }
            {
              name: 'CONTACTSYNC__IDENTITY__CLIENT_SECRET_FILE'
              value: '/run/secrets/${secretName}'
            }
            {
              name: 'CONTACTSYNC__GUARD__ATTRIBUTE'
              value: guardAttribute
            }
            {
              name: 'CONTACTSYNC__HTTP__LISTEN'
              value: '0.0.0.0:${port}'
            }
          ]
          volumeMounts: [
            {
              volumeName: 'secrets'
              mountPath: '/run/secrets'
            }
            {
              volumeName: 'journal'
              mountPath: '/var/lib/contactsync'
            }
          ]
          probes: [
            {
              type: 'Liveness'
              httpGet: {
                path: '/livez'
                port: port
              }
              periodSeconds: 20
              timeoutSeconds: 5
            }
            {
              type: 'Readiness'
              httpGet: {
                path: '/readyz'
                port: port
              }
              periodSeconds: 10
              timeoutSeconds: 5
            }
          ]
        }
      ]
      volumes: [
        {
          // What became of each message, for contactsync explain. It goes with the replica.
          name: 'journal'
          storageType: 'EmptyDir'
        }
        {
          name: 'secrets'
          storageType: 'Secret'
          secrets: [
            {
              secretRef: secretName
              path: secretName
            }
          ]
        }
      ]
      scale: {
        // A fixed number, and no rule: one replica writes however long the queue is, so more would only stand by. Never none,
        // as the first change after a quiet time would wait for a replica.
        minReplicas: replicas
        maxReplicas: replicas
      }
    }
  }
}

module alerts 'alerts.bicep' = {
  name: '${name}-alerts'
  params: {
    name: name
    actionGroupId: actionGroupId
    alertEmail: alertEmail
    namespaceId: namespace.id
    queueName: queue.name
  }
}

output namespaceName string = namespace.name
output queueName string = queue.name
output leaseQueueName string = leaseQueue.name
output vaultName string = vault.name

@description('What to ask for the connection string of the service endpoint: az servicebus queue authorization-rule keys list --name dataverse ...')
output dataverseRuleId string = dataverseRule.id
