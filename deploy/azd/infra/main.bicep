// What azd deploys: a resource group for one environment of azd, and in it what ../../bicep/main.bicep makes.

targetScope = 'subscription'

@description('Name of the environment of azd.')
param environmentName string

param location string

@description('The image of the worker, with its digest.')
param image string

@description('Id or domain of the tenant that holds the users.')
param usersTenant string

@description('Application id of the app registration in that tenant.')
param usersClientId string

@secure()
param usersClientSecret string

@description('When that secret ends, in seconds since 1970; 0 if the vault is not to be told. A text, as azd hands over texts.')
param usersClientSecretEnds string

param guardAttribute string

param alertEmail string

param registryName string

@allowed([
  'public'
  'private'
])
param network string

resource group 'Microsoft.Resources/resourceGroups@2024-03-01' = {
  name: 'rg-${environmentName}'
  location: location
  tags: {
    'azd-env-name': environmentName
  }
}

module contactsync '../../bicep/main.bicep' = {
  name: 'contactsync'
  scope: group
  params: {
    location: location
    image: image
    usersTenant: usersTenant
    usersClientId: usersClientId
    usersClientSecret: usersClientSecret
    usersClientSecretEnds: int(usersClientSecretEnds)
    guardAttribute: guardAttribute
    alertEmail: alertEmail
    registryName: registryName
    network: network
  }
}

output AZURE_RESOURCE_GROUP string = group.name
output SERVICE_BUS_NAMESPACE string = contactsync.outputs.namespaceName
output DATAVERSE_RULE_ID string = contactsync.outputs.dataverseRuleId
