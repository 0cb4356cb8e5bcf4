{{/* Values that the schema cannot judge, since two of them must fit. Each message says what to change. */}}
{{- define "asr.checks" -}}
{{- include "asr.checks.replicas" . -}}
{{- include "asr.checks.pools" . -}}
{{- include "asr.checks.store" . -}}
{{- include "asr.checks.redis" . -}}
{{- include "asr.checks.network" . -}}
{{- include "asr.checks.env" . -}}
{{- include "asr.checks.labels" . -}}
{{- include "asr.checks.names" . -}}
{{- include "asr.checks.resources" . -}}
{{- if not .Values.enabled -}}
{{- fail "enabled=false is for a chart that has this one as a dependency: name asr-platform.enabled as its condition there. To remove a release: helm uninstall" -}}
{{- end -}}
{{- end -}}

{{/* Kinds that somebody else brings. Helm tells which kinds there are only where it asks a cluster. */}}
{{- define "asr.checks.resources" -}}
{{- if .Capabilities.APIVersions.Has "apps/v1/Deployment" -}}
{{- $monitoring := .Values.monitoring -}}
{{- range list
      (list $monitoring.scrape.enabled "monitoring.coreos.com/v1/ServiceMonitor" "monitoring.scrape.enabled" "the Prometheus Operator")
      (list $monitoring.scrape.enabled "monitoring.coreos.com/v1/PodMonitor" "monitoring.scrape.enabled" "the Prometheus Operator")
      (list $monitoring.rules.enabled "monitoring.coreos.com/v1/PrometheusRule" "monitoring.rules.enabled" "the Prometheus Operator")
      (list .Values.api.httpRoute.enabled "gateway.networking.k8s.io/v1/HTTPRoute" "api.httpRoute.enabled" "the Gateway API") -}}
{{- if and (index . 0) (not ($.Capabilities.APIVersions.Has (index . 1))) -}}
{{- fail (printf "%s needs %s, which this cluster does not know: install %s first, or set %s=false" (index . 2) (index . 1) (index . 3) (index . 2)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "asr.checks.replicas" -}}
{{- if and .Values.api.autoscaling.enabled (not (kindIs "invalid" .Values.api.replicas)) -}}
{{- fail "api.replicas and api.autoscaling.enabled exclude each other: a HorizontalPodAutoscaler owns the replicas. Leave api.replicas unset, and set api.autoscaling.minReplicas." -}}
{{- end -}}
{{- if gt (int .Values.api.autoscaling.minReplicas) (int .Values.api.autoscaling.maxReplicas) -}}
{{- fail (printf "api.autoscaling.minReplicas (%v) is above maxReplicas (%v)" .Values.api.autoscaling.minReplicas .Values.api.autoscaling.maxReplicas) -}}
{{- end -}}
{{- $targets := list -}}
{{- range .Values.pools }}
{{- $targets = append $targets (include "asr.pool.deployment" (dict "root" $ "pool" .)) -}}
{{- $settings := include "asr.pool.settings" (dict "root" $ "pool" .) | fromYaml -}}
{{- if $.Values.operator.enabled -}}
{{- if not (kindIs "invalid" $settings.replicas) -}}
{{- fail (printf "pool %s sets replicas, which the operator owns. Set scaling.minReplicas and scaling.maxReplicas, or operator.enabled=false to scale the workers yourself." .name) -}}
{{- end -}}
{{- range list "autoscaling" "keda" "hpa" -}}
{{- if index $settings . -}}
{{- fail (printf "pool %s sets %s beside this chart's operator: two would write the same replicas. Use scaling for the operator, or operator.enabled=false and an autoscaler of your own." $settings.name .) -}}
{{- end -}}
{{- end -}}
{{- else -}}
{{- range list "autoscaling" "keda" "hpa" -}}
{{- if index $settings . -}}
{{- fail (printf "pool %s sets %s, which this chart does not make: put your autoscaler into extraObjects, and leave replicas unset." $settings.name .) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if .Values.operator.enabled -}}
{{- range .Values.extraObjects -}}
{{- $target := dig "spec" "scaleTargetRef" "name" "" . -}}
{{- if and (has .kind (list "HorizontalPodAutoscaler" "ScaledObject" "WorkerPool")) (has $target $targets) -}}
{{- fail (printf "extraObjects has the %s %s on the Deployment %s, whose replicas this chart's operator owns. Remove it, or set operator.enabled=false." .kind .metadata.name $target) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "asr.checks.pools" -}}
{{- $names := list -}}
{{- $engines := list -}}
{{- range .Values.pools }}
{{- if has .name $names }}{{ fail (printf "two pools are called %s" .name) }}{{ end -}}
{{- $names = append $names .name -}}
{{- $settings := include "asr.pool.settings" (dict "root" $ "pool" .) | fromYaml -}}
{{- $scaling := $settings.scaling -}}
{{- $most := $scaling.maxReplicas | default 8 | int -}}
{{- if gt ($scaling.minReplicas | default 0 | int) $most -}}
{{- fail (printf "pool %s: scaling.minReplicas (%v) is above scaling.maxReplicas (%d)" .name $scaling.minReplicas $most) -}}
{{- end -}}
{{- if and $scaling.fallback (gt (int $scaling.fallback.replicas) $most) -}}
{{- fail (printf "pool %s: scaling.fallback.replicas (%v) is above scaling.maxReplicas (%d)" .name $scaling.fallback.replicas $most) -}}
{{- end -}}
{{- if not (kindIs "invalid" $scaling.pausedReplicas) -}}
{{- if not $scaling.paused -}}
{{- fail (printf "pool %s: scaling.pausedReplicas needs scaling.paused=true" .name) -}}
{{- end -}}
{{- if gt (int $scaling.pausedReplicas) $most -}}
{{- fail (printf "pool %s: scaling.pausedReplicas (%v) is above scaling.maxReplicas (%d)" .name $scaling.pausedReplicas $most) -}}
{{- end -}}
{{- end -}}
{{- if and $settings.terminationGracePeriodSeconds (lt (int $settings.terminationGracePeriodSeconds) (add (int $settings.graceSeconds) 10 | int)) -}}
{{- fail (printf "pool %s: terminationGracePeriodSeconds (%v) must be at least graceSeconds (%v) plus 10, or a draining worker is killed" .name $settings.terminationGracePeriodSeconds $settings.graceSeconds) -}}
{{- end -}}
{{- $engines = append $engines $settings.model.engine -}}
{{- include "asr.checks.model" (dict "root" $ "pool" . "settings" $settings) -}}
{{- end -}}
{{- $remote := pick (.Values.worker.remote | default dict) "url" "model" "existingSecret" "sidecar" -}}
{{- if and .Values.pools (compact (values $remote)) (not (has "remote" $engines)) -}}
{{- fail "worker.remote names a server of models, and no pool has model.engine=remote" -}}
{{- end -}}
{{- if not (has "default" (concat $names .Values.otherPools)) -}}
{{- fail "no pool is called default, which serves tasks that name none: call one of pools so, or list it in otherPools if its workers run elsewhere" -}}
{{- end -}}
{{- if and .Values.pools .Values.operator.enabled (not .Values.crds.install) (not (.Capabilities.APIVersions.Has "asr-platform.dev/v1alpha1")) (not .Values.crds.assumeInstalled) -}}
{{- fail "crds.install=false, and the cluster does not know asr-platform.dev/v1alpha1: install the WorkerPool resource first, or set crds.assumeInstalled=true where it cannot be asked (helm template)" -}}
{{- end -}}
{{- end -}}

{{- define "asr.checks.store" -}}
{{- $store := .Values.store -}}
{{- $schemes := dict "s3" "s3://" "gcs" "gs://" "azure" "az://" -}}
{{- if ne $store.type "pvc" -}}
{{- $scheme := index $schemes $store.type -}}
{{- if not (hasPrefix $scheme $store.url) -}}
{{- fail (printf "store.type=%s needs a store.url that begins with %s, not %q" $store.type $scheme $store.url) -}}
{{- end -}}
{{- else -}}
{{- if $store.url }}{{ fail "store.url is for buckets: set store.type to s3, gcs or azure, or leave store.url empty" }}{{ end -}}
{{- if and (not $store.pvc.existingClaim) (not (has "ReadWriteMany" $store.pvc.accessModes)) (not $store.pvc.singleNode) -}}
{{- fail "API, workers and retention share the store: store.pvc.accessModes must have ReadWriteMany. On a cluster of one node set store.pvc.singleNode=true; elsewhere use a bucket (store.type)." -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "asr.checks.redis" -}}
{{- if .Values.redis.enabled -}}
{{- if or .Values.redis.external.existingSecret .Values.redis.external.host -}}
{{- fail "redis.enabled and redis.external exclude each other: set redis.enabled=false to use the external one" -}}
{{- end -}}
{{- else -}}
{{- $external := .Values.redis.external -}}
{{- if not (or $external.host $external.existingSecret) -}}
{{- fail "redis.enabled=false needs redis.external.host, or redis.external.existingSecret, the Secret that holds the URL of your Redis" -}}
{{- end -}}
{{- if ne (empty $external.certKey) (empty $external.keyKey) -}}
{{- fail "redis.external.certKey and redis.external.keyKey go together: a certificate and its private key" -}}
{{- end -}}
{{- if or $external.caKey $external.certKey -}}
{{- if and $external.host (not $external.tls) -}}
{{- fail "redis.external.caKey and certKey need redis.external.tls=true beside redis.external.host" -}}
{{- end -}}
{{- if not (or $external.tlsSecret $external.existingSecret) -}}
{{- fail "redis.external.caKey and certKey are entries of redis.external.tlsSecret, which is unset" -}}
{{- end -}}
{{- end -}}
{{- if .Values.redis.exporter.enabled -}}
{{- fail "redis.exporter runs beside this chart's Redis: with redis.enabled=false set redis.exporter.enabled=false" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "asr.checks.network" -}}
{{- if and .Values.caBundle.configMap .Values.caBundle.secret -}}
{{- fail "caBundle.configMap and caBundle.secret exclude each other" -}}
{{- end -}}
{{- if and .Values.api.httpRoute.enabled (not .Values.api.httpRoute.parentRefs) -}}
{{- fail "api.httpRoute needs api.httpRoute.parentRefs, the Gateways that it belongs to" -}}
{{- end -}}
{{- $service := .Values.api.service -}}
{{- range $name, $type := dict "loadBalancerClass" "LoadBalancer" "loadBalancerSourceRanges" "LoadBalancer" "nodePort" "NodePort" "externalTrafficPolicy" "NodePort" -}}
{{- if and (index $service $name) (not (has $service.type (list $type "LoadBalancer"))) -}}
{{- fail (printf "api.service.%s needs api.service.type=%s, not %s" $name $type $service.type) -}}
{{- end -}}
{{- end -}}
{{- if and (gt (len .Values.ipFamilies) 1) (not (has .Values.ipFamilyPolicy (list "PreferDualStack" "RequireDualStack"))) -}}
{{- fail "two ipFamilies need ipFamilyPolicy=PreferDualStack or RequireDualStack" -}}
{{- end -}}
{{- end -}}
