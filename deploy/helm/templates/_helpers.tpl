{{- define "vats-exporter.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "vats-exporter.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" }}
{{- else if contains (include "vats-exporter.name" .) .Release.Name }}
{{- .Release.Name | trunc 63 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "vats-exporter.name" .) | trunc 63 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "vats-exporter.selectorLabels" -}}
app.kubernetes.io/name: {{ include "vats-exporter.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "vats-exporter.labels" -}}
{{ include "vats-exporter.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "vats-exporter.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "vats-exporter.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- define "vats-exporter.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}
{{- end }}

{{- define "vats-exporter.hasWebConfig" -}}
{{- if or .Values.web.configSecret .Values.web.tlsSecret }}yes{{ end }}
{{- end }}

{{/* The accounts of --set-file extraAccounts, as YAML. */}}
{{- define "vats-exporter.extraAccounts" -}}
{{- $file := fromYaml .Values.extraAccounts }}
{{- with $file.Error }}
{{- fail (printf "extraAccounts: %s" .) }}
{{- end }}
{{- range $key, $_ := omit $file "accounts" }}
{{- fail (printf "extraAccounts: %s does not belong there, only accounts; use config.%s" $key $key) }}
{{- end }}
{{- range $file.accounts }}
{{- if hasKey . "password" }}
{{- fail (printf "extraAccounts: the password of %s would be readable in a ConfigMap; use password_file" .name) }}
{{- end }}
{{- if not (kindIs "string" .login) }}
{{- fail (printf "extraAccounts: put the login of %s in quotes" .name) }}
{{- end }}
{{- end }}
{{- toYaml (default list $file.accounts) }}
{{- end }}

{{/* All accounts, as vats-exporter.yml has them. */}}
{{- define "vats-exporter.accounts" -}}
{{- $accounts := list }}
{{- range $name, $account := .Values.accounts }}
{{- $entry := merge (dict "name" $name) (omit $account "passwordSecret") }}
{{- if not (or $account.password_file $account.password_env) }}
{{- $secret := default dict $account.passwordSecret }}
{{- $path := default $name $secret.key }}
{{- if $secret.name }}
{{- $path = printf "%s/%s" $secret.name $path }}
{{- end }}
{{- $_ := set $entry "password_file" (printf "/run/secrets/vats-exporter/%s" $path) }}
{{- end }}
{{- $accounts = append $accounts $entry }}
{{- end }}
{{- $accounts = concat $accounts (include "vats-exporter.extraAccounts" . | fromYamlArray) }}
{{- if not $accounts }}
{{- fail "no accounts: set accounts or extraAccounts, or demo=true to try the exporter without one" }}
{{- end }}
{{- toYaml $accounts }}
{{- end }}

{{- define "vats-exporter.config" -}}
accounts:
  {{- include "vats-exporter.accounts" . | nindent 2 }}
{{ merge (deepCopy .Values.config) (dict "history" (dict "file" "/var/lib/vats-exporter/history.db")) | toYaml }}
{{- end }}

{{/* Where the passwords come from: the sources of a projected volume, or nothing. */}}
{{- define "vats-exporter.passwordSources" -}}
{{- $sources := list }}
{{- $shared := not (empty .Values.extraAccounts) }}
{{- range $name, $account := .Values.accounts }}
{{- if not (or $account.password_file $account.password_env) }}
{{- $secret := default dict $account.passwordSecret }}
{{- if $secret.name }}
{{- $key := default $name $secret.key }}
{{- $item := dict "key" $key "path" (printf "%s/%s" $secret.name $key) }}
{{- $sources = append $sources (dict "secret" (dict "name" $secret.name "items" (list $item))) }}
{{- else }}
{{- $shared = true }}
{{- end }}
{{- end }}
{{- end }}
{{- if and $shared .Values.passwordSecret }}
{{- $sources = prepend $sources (dict "secret" (dict "name" .Values.passwordSecret)) }}
{{- end }}
{{- if $sources }}
{{- toYaml $sources }}
{{- end }}
{{- end }}

{{/* The ports that the exporter connects to, one per line: HTTPS, the accounts' addresses, yours. */}}
{{- define "vats-exporter.egressPorts" -}}
{{- $ports := concat (list 443) .Values.networkPolicy.egressPorts }}
{{- $accounts := include "vats-exporter.extraAccounts" . | fromYamlArray }}
{{- range concat $accounts (values .Values.accounts) (list (default dict .Values.config.defaults)) }}
{{- with .address }}
{{- if regexMatch ":[0-9]+/?$" . }}
{{- $ports = append $ports (regexFind ":[0-9]+/?$" . | trimPrefix ":" | trimSuffix "/") }}
{{- else if hasPrefix "http://" . }}
{{- $ports = append $ports 80 }}
{{- end }}
{{- end }}
{{- end }}
{{- range $ports }}
{{ . }}
{{- end }}
{{- end }}

{{/* What every path of the exporter begins with. */}}
{{- define "vats-exporter.prefix" -}}
{{- default (get (urlParse .Values.web.externalUrl) "path") .Values.web.routePrefix | trimSuffix "/" }}
{{- end }}

{{/* A probe, at the path and with the scheme of the exporter's pages. */}}
{{- define "vats-exporter.probe" -}}
{{- $probe := deepCopy .probe }}
{{- with $probe.httpGet }}
{{- $_ := set . "path" (print (include "vats-exporter.prefix" $.root) .path) }}
{{- if $.root.Values.web.tlsSecret }}
{{- $_ := set . "scheme" (default "HTTPS" .scheme) }}
{{- end }}
{{- end }}
{{- toYaml $probe }}
{{- end }}
