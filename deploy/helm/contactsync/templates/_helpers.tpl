{{- define "contactsync.name" -}}
{{- $name := contains .Chart.Name .Release.Name | ternary .Release.Name (printf "%s-%s" .Release.Name .Chart.Name) }}
{{- $name | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "contactsync.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "contactsync.labels" -}}
{{ include "contactsync.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- define "contactsync.serviceAccount" -}}
{{- if .Values.serviceAccount.create }}{{ .Values.serviceAccount.name | default (include "contactsync.name" .) }}
{{- else }}{{ required "serviceAccount.name: say which one, or let serviceAccount.create be true" .Values.serviceAccount.name }}{{ end }}
{{- end }}

{{- define "contactsync.image" -}}
{{- if .Values.image.digest }}{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else }}{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}{{ end }}
{{- end }}

{{- /* How many run: what was chosen, or a second one where it can stand by. */}}
{{- define "contactsync.replicas" -}}
{{- if kindIs "invalid" .Values.replicas }}{{ empty .Values.serviceBus.leaseQueue | ternary 1 2 }}
{{- else }}{{ .Values.replicas | int }}{{ end }}
{{- end }}

{{- /* Whether a token of the cluster is needed at all. */}}
{{- define "contactsync.workloadIdentity" -}}
{{- if or .Values.serviceBus.namespace (eq .Values.identity.kind "workload") }}true{{ end }}
{{- end }}

{{- /* Ports that the worker goes to besides the usual ones: that of the collector in the settings and that of a proxy. */}}
{{- define "contactsync.ports" -}}
{{- $addresses := list (regexFind `(?m)^\s*otlp_endpoint\s*=\s*["'][^"']+` .Values.settings) }}
{{- range .Values.extraEnv }}
{{- if has .name (list "HTTPS_PROXY" "https_proxy" "ALL_PROXY" "all_proxy") }}{{ $addresses = append $addresses (.value | default "") }}{{ end }}
{{- end }}
{{- $ports := list }}
{{- range $addresses }}
{{- $port := regexFind `:[0-9]+/?$` . | trimPrefix ":" | trimSuffix "/" }}
{{- if $port }}{{ $ports = append $ports (int $port) }}
{{- else if contains "http://" . }}{{ $ports = append $ports 80 }}{{ end }}
{{- end }}
{{- without ($ports | uniq) 443 5671 | toJson }}
{{- end }}

{{- /* What cannot be guessed, all of it at once. */}}
{{- define "contactsync.validate" -}}
{{- $wrong := list }}
{{- $connection := has "CONTACTSYNC__SERVICE_BUS__CONNECTION_STRING" .Values.existingSecret.keys }}
{{- if and (not .Values.serviceBus.namespace) (not $connection) }}
{{- $wrong = append $wrong "serviceBus.namespace: name it, or give CONTACTSYNC__SERVICE_BUS__CONNECTION_STRING in existingSecret" }}
{{- end }}
{{- if and .Values.serviceBus.namespace $connection }}
{{- $wrong = append $wrong "serviceBus.namespace: leave it empty, as existingSecret has a connection string" }}
{{- end }}
{{- if and .Values.serviceBus.namespace (not .Values.serviceBus.clientId) }}
{{- $wrong = append $wrong "serviceBus.clientId: set the client id of the identity that may receive and send" }}
{{- end }}
{{- if and .Values.serviceBus.namespace (not .Values.serviceBus.tenant) }}
{{- $wrong = append $wrong "serviceBus.tenant: set the tenant that the namespace belongs to" }}
{{- end }}
{{- range $key := list "tenant" "clientId" }}
{{- if not (index $.Values.identity $key) }}
{{- $wrong = append $wrong (printf "identity.%s: set that of the app registration in the tenant of the users" $key) }}
{{- end }}
{{- end }}
{{- if and (eq .Values.identity.kind "secret") (not (has "CONTACTSYNC__IDENTITY__CLIENT_SECRET" .Values.existingSecret.keys)) }}
{{- $wrong = append $wrong "existingSecret: identity.kind is secret, so give CONTACTSYNC__IDENTITY__CLIENT_SECRET" }}
{{- end }}
{{- if and .Values.existingSecret.keys (not .Values.existingSecret.name) }}
{{- $wrong = append $wrong "existingSecret.name: say which Secret has the keys" }}
{{- end }}
{{- $replicas := include "contactsync.replicas" . | int }}
{{- if and (gt $replicas 1) (not .Values.serviceBus.leaseQueue) }}
{{- $wrong = append $wrong (printf "replicas: %d would write to the same users and share a quota without knowing of each other; make a queue with sessions and name it in serviceBus.leaseQueue, or run one" $replicas) }}
{{- end }}
{{- if eq (lower .Values.serviceBus.leaseQueue) (lower .Values.serviceBus.queue) }}
{{- $wrong = append $wrong "serviceBus.leaseQueue: make a queue of its own, with sessions; the one that Dataverse posts to cannot have them" }}
{{- end }}
{{- if and .Values.scaleToZero.enabled (not .Values.serviceBus.namespace) }}
{{- $wrong = append $wrong "scaleToZero.enabled: KEDA reads the length of the queue by identity, which wants serviceBus.namespace" }}
{{- end }}
{{- if and .Values.scaleToZero.enabled (lt $replicas 1) }}
{{- $wrong = append $wrong "replicas: say how many run while messages wait, as scaleToZero is enabled" }}
{{- end }}
{{- if and .Values.serviceMonitor.enabled .Values.networkPolicy.enabled (not .Values.networkPolicy.metricsFrom) }}
{{- $wrong = append $wrong "networkPolicy.metricsFrom: name the pods of Prometheus, as serviceMonitor is enabled; nobody else may read /metrics" }}
{{- end }}
{{- if regexMatch `(?m)^\s*([a-z_]+\.)*(client_secret|connection_string)\s*=\s*["'][^"']|(?i)SharedAccessKey\s*=` .Values.settings }}
{{- $wrong = append $wrong "settings: holds a secret, and becomes a ConfigMap, which many may read; put it into a Secret and name that in existingSecret" }}
{{- end }}
{{- if $wrong }}{{ fail (printf "\n  %s" (join "\n  " $wrong)) }}{{ end }}
{{- end }}
