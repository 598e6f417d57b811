{{/*
What the operator may do, where it looks after Storefronts. A test runs it with exactly these rights, and one holds
that each of them is used. It makes no Roles, so it needs no right that it would hand on.
*/}}
{{- define "storefront-operator.rules" -}}
# Storefronts are watched; their finalizer and their status are ours.
- apiGroups: [storefront.dev]
  resources: [storefronts]
  verbs: [list, watch, patch]
- apiGroups: [storefront.dev]
  resources: [storefronts/status]
  verbs: [patch]
# What a shop consists of: listed and watched by label, applied (patch, and create where it is not there), pruned.
- apiGroups: [""]
  resources: [configmaps, serviceaccounts, services]
  verbs: [list, watch, create, patch, delete]
- apiGroups: [apps]
  resources: [deployments, statefulsets]
  verbs: [list, watch, create, patch, delete]
- apiGroups: [autoscaling]
  resources: [horizontalpodautoscalers]
  verbs: [list, watch, create, patch, delete]
- apiGroups: [networking.k8s.io]
  resources: [ingresses, networkpolicies]
  verbs: [list, watch, create, patch, delete]
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs: [list, watch, create, patch, delete]
# A catalog of others, by its name.
- apiGroups: [""]
  resources: [configmaps]
  verbs: [get]
# Secrets are read by their names, those of shops are made, kept and pruned.{{ if not .Values.watch.secrets }} They cannot be listed.{{ end }}
- apiGroups: [""]
  resources: [secrets]
  verbs: [get, {{ if .Values.watch.secrets }}list, watch, {{ end }}create, patch, delete]
# Why pods do not come up.
- apiGroups: [""]
  resources: [pods]
  verbs: [list]
# Disks of brokers and databases: whether they are there; they grow, and are never deleted.
- apiGroups: [""]
  resources: [persistentvolumeclaims]
  verbs: [get, patch]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
# Where these APIs are installed.
- apiGroups: [gateway.networking.k8s.io]
  resources: [httproutes]
  verbs: [list, watch, create, patch, delete]
- apiGroups: [kafka.strimzi.io]
  resources: [kafkatopics, kafkausers]
  verbs: [list, watch, create, patch, delete]
- apiGroups: [kafka.strimzi.io]
  resources: [kafkas]
  verbs: [get]
{{- end -}}
