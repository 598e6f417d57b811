{{/*
A name that is right for every object: a Service's has no dots and begins with a letter, where a release's may be
`my.release` or `1a`.
*/}}
{{- define "storefront-operator.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- $full := ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) -}}
{{- $full = default $full .Values.fullnameOverride | replace "." "-" -}}
{{- if regexMatch "^[0-9]" $full }}{{ $full = printf "release-%s" $full }}{{ end -}}
{{- $full | trunc 50 | trimAll "-" -}}
{{- end -}}

{{/* Cluster-wide names have the namespace in them: releases of one name may be in several. */}}
{{- define "storefront-operator.clusterName" -}}
{{- printf "%s:%s" .Release.Namespace (include "storefront-operator.fullname" .) -}}
{{- end -}}

{{/* Operators that look after the whole cluster share a Lease, whatever their releases are called. */}}
{{- define "storefront-operator.lease" -}}
{{- if .Values.watch.namespaces }}{{ include "storefront-operator.fullname" . }}{{ else }}storefront-operator{{ end -}}
{{- end -}}

{{- define "storefront-operator.leaseNamespace" -}}
{{- if .Values.watch.namespaces }}{{ .Release.Namespace }}{{ else }}{{ .Values.lease.namespace }}{{ end -}}
{{- end -}}

{{/* It may be beside those of other releases. */}}
{{- define "storefront-operator.leaseRole" -}}
{{- printf "%s:lease" (include "storefront-operator.clusterName" .) -}}
{{- end -}}

{{- define "storefront-operator.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "storefront-operator.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{/* These never change: a selector cannot. Shops let pods of this name through to their brokers. */}}
{{- define "storefront-operator.selectorLabels" -}}
app.kubernetes.io/name: storefront-operator
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: operator
{{- end -}}

{{- define "storefront-operator.labels" -}}
{{ include "storefront-operator.selectorLabels" . }}
{{ include "storefront-operator.otherLabels" . }}
{{- end -}}

{{/* Of what must not be taken for the operator. */}}
{{- define "storefront-operator.testLabels" -}}
app.kubernetes.io/name: storefront-operator-test
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: test
{{ include "storefront-operator.otherLabels" . }}
{{- end -}}

{{- define "storefront-operator.otherLabels" -}}
app.kubernetes.io/part-of: storefront
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* An image of {registry, repository, tag, digest}, called with the image and the root. */}}
{{- define "storefront-operator.image" -}}
{{- $image := index . 0 -}}
{{- $root := index . 1 -}}
{{- $name := $image.repository -}}
{{- if $image.registry }}{{ $name = printf "%s/%s" $image.registry $image.repository }}{{ end -}}
{{- if $image.digest -}}
{{- printf "%s@%s" $name $image.digest -}}
{{- else -}}
{{- printf "%s:%s" $name (default $root.Chart.AppVersion $image.tag) -}}
{{- end -}}
{{- end -}}

{{/* The shop that `helm test` buys at. Names of Storefronts have at most 40 characters. */}}
{{- define "storefront-operator.testShop" -}}
{{- printf "%s-test" (include "storefront-operator.fullname" . | trunc 35 | trimAll "-") -}}
{{- end -}}

{{- define "storefront-operator.testNamespace" -}}
{{- default .Release.Namespace (first .Values.watch.namespaces) -}}
{{- end -}}
