using './main.bicep'

// The digest, not a tag: what was tested is what runs.
param image = 'REGISTRY/contactsync@sha256:DIGEST'
param usersTenant = 'contoso.onmicrosoft.com'
param usersClientId = '00000000-0000-0000-0000-000000000000'
param guardAttribute = 'extensionAttribute15'
param registryName = ''
param alertEmail = ''
// Both once; leave them out afterwards.
param usersClientSecret = readEnvironmentVariable('GRAPH_CLIENT_SECRET', '')
param usersClientSecretEnds = int(readEnvironmentVariable('GRAPH_CLIENT_SECRET_ENDS', '0'))
