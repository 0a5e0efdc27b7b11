// Who is told when messages become dead letters or nobody works them off. main.bicep calls it.

targetScope = 'resourceGroup'

param name string

@description('Id of an action group that alerts go to.')
param actionGroupId string

@description('Address that alerts are mailed to if actionGroupId is empty.')
param alertEmail string

@description('Id of the namespace of Service Bus.')
param namespaceId string

param queueName string

var alerts = [
  {
    name: 'dead-letters'
    description: 'Messages that contactsync could not apply. The reason of each is in deploy/runbook.md.'
    metric: 'DeadletteredMessages'
    aggregation: 'Average'
    threshold: 0
    window: 'PT5M'
    severity: 2
  }
  {
    name: 'backlog'
    description: 'More messages wait than the write quota of Graph works off in half an hour: is the worker at work?'
    metric: 'ActiveMessages'
    aggregation: 'Average'
    threshold: 36000
    window: 'PT15M'
    severity: 1
  }
  {
    // Says nothing about how much waits, so that it is noticed in an hour also where there are ten changes a day.
    name: 'never-empty'
    description: 'For an hour there was no moment at which no message waited: is the worker at work, or has its secret ended?'
    metric: 'ActiveMessages'
    aggregation: 'Minimum'
    threshold: 0
    window: 'PT1H'
    severity: 1
  }
]

resource mail 'Microsoft.Insights/actionGroups@2023-01-01' = if (empty(actionGroupId) && !empty(alertEmail)) {
  name: name
  location: 'global'
  properties: {
    groupShortName: take(name, 12)
    enabled: true
    emailReceivers: [
      {
        name: 'administrator'
        emailAddress: alertEmail
        useCommonAlertSchema: true
      }
    ]
  }
}

var alertGroupId = empty(actionGroupId) ? resourceId('Microsoft.Insights/actionGroups', name) : actionGroupId

resource alert 'Microsoft.Insights/metricAlerts@2018-03-01' = [for item in alerts: {
  name: '${name}-${item.name}'
  location: 'global'
  dependsOn: [
    mail
  ]
  properties: {
    description: item.description
    severity: item.severity
    enabled: true
    scopes: [
      namespaceId
    ]
    evaluationFrequency: 'PT5M'
    windowSize: item.window
    criteria: {
      'odata.type': 'Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria'
      allOf: [
        {
          name: item.name
          criterionType: 'StaticThresholdCriterion'
          metricName: item.metric
          metricNamespace: 'Microsoft.ServiceBus/namespaces'
          dimensions: [
            {
              name: 'EntityName'
              operator: 'Include'
              values: [
                queueName
              ]
            }
          ]
          operator: 'GreaterThan'
          threshold: item.threshold
          timeAggregation: item.aggregation
        }
      ]
    }
    actions: empty(actionGroupId) && empty(alertEmail) ? [] : [
      {
        actionGroupId: alertGroupId
      }
    ]
  }
}]
