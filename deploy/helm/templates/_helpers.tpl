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

{{/* All accounts as they are given, a list. */}}
{{- define "vats-exporter.given" -}}
{{- $given := list }}
{{- range $name, $account := .Values.accounts }}
{{- $given = append $given (set (deepCopy $account) "name" $name) }}
{{- end }}
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
{{- $given = append $given . }}
{{- end }}
{{- if not $given }}
{{- fail "no accounts: set accounts or extraAccounts, or demo=true to try the exporter without one" }}
{{- end }}
{{- toYaml $given }}
{{- end }}

{{/* Where an account's password is: a file of the container, in the volume `passwords` if relative. */}}
{{- define "vats-exporter.passwordFile" -}}
{{- $secret := default dict .passwordSecret }}
{{- $key := default .name $secret.key }}
{{- if .password_file }}
{{- .password_file }}
{{- else if .password_env }}
{{- else if not (regexMatch "^[-._a-zA-Z0-9]+$" $key) }}
{{- fail (printf "the account %s needs passwordSecret.key: its name cannot be a key of a Secret" .name) }}
{{- else if $secret.name }}
{{- printf "%s/%s" $secret.name $key }}
{{- else }}
{{- $key }}
{{- end }}
{{- end }}

{{/* All accounts, as vats-exporter.yml has them. */}}
{{- define "vats-exporter.accounts" -}}
{{- $accounts := list }}
{{- range include "vats-exporter.given" . | fromYamlArray }}
{{- $account := omit . "passwordSecret" }}
{{- with include "vats-exporter.passwordFile" . }}
{{- $path := ternary . (print "/run/secrets/vats-exporter/" .) (hasPrefix "/" .) }}
{{- $_ := set $account "password_file" $path }}
{{- end }}
{{- $accounts = append $accounts $account }}
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
{{- $shared := false }}
{{- range include "vats-exporter.given" . | fromYamlArray }}
{{- $file := include "vats-exporter.passwordFile" . }}
{{- $name := get (default dict .passwordSecret) "name" }}
{{- if and $name (not .password_file) $file }}
{{- $item := dict "key" (base $file) "path" $file }}
{{- $sources = append $sources (dict "secret" (dict "name" $name "items" (list $item))) }}
{{- else if and $file (not (hasPrefix "/" $file)) }}
{{- $shared = true }}
{{- end }}
{{- end }}
{{- if $shared }}
{{- $sources = prepend $sources (dict "secret" (dict "name" .Values.passwordSecret)) }}
{{- end }}
{{- if $sources }}
{{- toYaml $sources }}
{{- end }}
{{- end }}

{{/* The ports that the exporter connects to, one per line: HTTPS, the accounts' addresses, yours. */}}
{{- define "vats-exporter.egressPorts" -}}
{{- $ports := concat (list 443) .Values.networkPolicy.egressPorts }}
{{- $accounts := list }}
{{- if not .Values.demo }}
{{- $accounts = include "vats-exporter.given" . | fromYamlArray }}
{{- end }}
{{- range append $accounts (default dict .Values.config.defaults) }}
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
