{{/*
Fails where another release looks after the same shops: two would undo each other's work. Only a Helm that speaks with
the cluster sees that; operators for the whole cluster share a Lease in any case. An upgrade goes on: nobody else's
binding can hold it up. Who installs for chosen namespaces may not be allowed to look at the whole cluster, and says so
by `watch.alone`.
*/}}
{{- define "storefront-operator.alone" -}}
{{- if .Release.IsInstall -}}
{{- $api := "rbac.authorization.k8s.io/v1" -}}
{{- $bindings := list -}}
{{- if .Values.watch.namespaces -}}
{{- range .Values.watch.namespaces }}{{ $bindings = concat $bindings (dig "items" list (lookup $api "RoleBinding" . "")) }}{{ end -}}
{{- else -}}
{{- $bindings = dig "items" list (lookup $api "RoleBinding" "" "") -}}
{{- end -}}
{{- if not (and .Values.watch.namespaces .Values.watch.alone) -}}
{{- $bindings = concat $bindings (dig "items" list (lookup $api "ClusterRoleBinding" "" "")) -}}
{{- end -}}
{{- range $binding := $bindings -}}
{{- $labels := dig "labels" dict $binding.metadata -}}
{{- $release := get $labels "app.kubernetes.io/instance" -}}
{{- $home := dig "namespace" "" (dig "subjects" list $binding | first | default dict) -}}
{{- $ours := and (eq $release $.Release.Name) (eq $home $.Release.Namespace) -}}
{{- $watches := and (eq (get $labels "app.kubernetes.io/name") "storefront-operator") (not (hasSuffix ":lease" $binding.metadata.name)) -}}
{{- if and $watches (not $ours) -}}
{{- $what := ternary (printf "namespace %s" (dig "namespace" "" $binding.metadata)) "every namespace" (eq $binding.kind "RoleBinding") -}}
{{- $who := printf "release %s in namespace %s looks after the Storefronts of %s already" $release $home $what -}}
{{- $remedy := printf "uninstall that one first (helm uninstall %s --namespace %s; its shops go on), or give each its own watch.namespaces" $release $home -}}
{{- fail (printf "%s, and two operators would undo each other's work: %s" $who $remedy) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
