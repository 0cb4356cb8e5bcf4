{{/* Settings that users may not write beside the chart, and where they are said instead: the chart
     renders something else by them, or all programs must have the same. Every other setting is
     theirs, and wins over the chart's. */}}
{{- define "asr.env.owned" -}}
ASR_REDIS_URL: redis.external
REDIS_URL: redis.external
REDIS_HOST: redis.external.host
REDIS_PORT: ports.redis or redis.external.port
REDIS_DB: redis.external.db
REDIS_USERNAME: redis.external.username
REDIS_PASSWORD: redis.auth.existingSecret or redis.external.existingSecret
REDIS_TLS: redis.external.tls
REDIS_SENTINELS: a URL redis+sentinel://… in redis.external.existingSecret
REDIS_CA_FILE: redis.external.caKey
REDIS_CERT_FILE: redis.external.certKey
REDIS_KEY_FILE: redis.external.keyKey
ASR_KEY_PREFIX: redis.keyPrefix
ASR_POOLS: pools and otherPools
ASR_POOL: the name of one of pools
ASR_WORKER_POOLS_FILE: pools
ASR_STORE_URL: store
ASR_API_HOST: nothing, for the API listens on all addresses of its pod
ASR_API_PORT: ports.api
ASR_METRICS_HOST: nothing, for programs listen on all addresses of their pods
ASR_METRICS_PORT: ports
ASR_LIVENESS_URL: ports.operatorHealth
ASR_AUTH: auth.mode
ASR_BOOTSTRAP_KEY: auth.existingSecret
ASR_WEBHOOK_SECRET: courier.webhookSecret.existingSecret
ASR_ALLOW_PRIVATE_URLS: courier.allowPrivateUrls
ASR_ROOT_PATH: api.rootPath
ASR_ALLOWED_HOSTS: api.allowedHosts
ASR_CORS_ORIGINS: api.corsOrigins
ASR_TRUSTED_PROXIES: api.trustedProxies
ASR_SPOOL_DIR: api.spool, courier.spool, or a volume called spool in extraVolumes
ASR_SPOOL_MAX_BYTES: api.spool.maxGiB and courier.spool.maxGiB
ASR_MODEL: worker.model.name
ASR_MODEL_CACHE: worker.modelCache, or a volume called models in extraVolumes
ASR_MODEL_REVISION: worker.model.revision
ASR_ENGINE: worker.model.engine
ASR_PUNC_MODEL: worker.model.punctuation
ASR_VAD_MODEL: worker.model.voiceActivity
ASR_SPEAKER_MODEL: worker.model.speakers
ASR_OFFLINE: worker.model.offline
ASR_MODEL_MIRROR: worker.model.mirrors
ASR_REMOTE_URL: worker.remote.url
ASR_REMOTE_API_KEY: worker.remote.existingSecret
ASR_WORK_DIR: worker.workDir, or a volume called work in extraVolumes
ASR_WORK_DIR_MAX_BYTES: worker.workDir.maxGiB
ASR_GRACE_SECONDS: worker.graceSeconds and courier.graceSeconds
ASR_USE_GPU: worker.gpu.enabled
ASR_WORKER_NAME: nothing, for each pod has its own name
ASR_OPERATOR_NAME: nothing, for each pod has its own name
POD_NAME: nothing, for each pod has its own name
ASR_WATCH_NAMESPACES: nothing, for the operator may act in the release's namespace only
ASR_OPERATOR_RELEASE: nothing, for it is that of the release's pools
ASR_OPERATOR_LEASE_SECONDS: operator.leaseSeconds
MAX_RECORDINGS: retention.recordings.max
ASR_RECORDINGS_MIN_AGE_MINUTES: retention.recordings.minAgeMinutes
ASR_RECORDINGS_MAX_AGE_DAYS: retention.recordings.maxAgeDays
ASR_RESULTS_MAX_AGE_DAYS: retention.results.maxAgeDays
{{- end -}}

{{- define "asr.checks.env" -}}
{{- $places := dict
      "settings" .Values.settings "store.env" .Values.store.env "api.env" .Values.api.env
      "courier.env" .Values.courier.env "worker.env" .Values.worker.env
      "operator.env" .Values.operator.env "retention.env" .Values.retention.env
      "tests.env" .Values.tests.env -}}
{{- range .Values.pools -}}
{{- $_ := set $places (printf "env of the pool %s" .name) .env -}}
{{- end -}}
{{- $owned := include "asr.env.owned" . | fromYaml -}}
{{- range $place, $names := $places -}}
{{- range $name, $_ := $names -}}
{{- if hasKey $owned $name -}}
{{- fail (printf "%s has %s, which the chart writes itself. Set %s." $place $name (get $owned $name)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* A label that a selector asks for must say what the chart says: pods would be found by nobody. */}}
{{- define "asr.checks.labels" -}}
{{- $owned := append (include "asr.selector" (dict "root" . "part" "x" "pool" "x") | fromYaml | keys) "app.kubernetes.io/managed-by" -}}
{{- $places := dict "commonLabels" .Values.commonLabels "monitoring.labels" .Values.monitoring.labels "monitoring.dashboards.labels" .Values.monitoring.dashboards.labels -}}
{{- $parts := pick .Values "workloads" "api" "courier" "worker" "operator" "redis" "retention" "tests" -}}
{{- range $part, $values := $parts -}}
{{- range list "labels" "podLabels" }}{{ $_ := set $places (printf "%s.%s" $part .) (index ($values | default dict) .) }}{{ end -}}
{{- end -}}
{{- range $pool := .Values.pools -}}
{{- range list "labels" "podLabels" }}{{ $_ := set $places (printf "%s of the pool %s" . $pool.name) (index $pool .) }}{{ end -}}
{{- end -}}
{{- range $place, $labels := $places -}}
{{- range $name, $_ := $labels -}}
{{- if has $name $owned -}}
{{- fail (printf "%s has %s, by which the chart or Helm finds its objects: use a label of your own" $place $name) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Names that Kubernetes wants once: ports of a pod, and containers beside the chart's. */}}
{{- define "asr.checks.names" -}}
{{- if eq (int .Values.ports.operatorMetrics) (int .Values.ports.operatorHealth) -}}
{{- fail (printf "ports.operatorMetrics and ports.operatorHealth are both %d, in one container" (int .Values.ports.operatorHealth)) -}}
{{- end -}}
{{- if and .Values.redis.exporter.enabled (eq (int .Values.ports.redis) 9121) -}}
{{- fail "ports.redis is 9121, where redis.exporter listens beside it" -}}
{{- end -}}
{{- $ours := list "api" "courier" "worker" "model" "model-server" "operator" "redis" "exporter" "recordings" "results" "reconcile" "transcribe" -}}
{{- $parts := concat (values (pick .Values "workloads" "api" "courier" "worker" "operator" "redis" "retention" "tests")) .Values.pools -}}
{{- range $part := $parts -}}
{{- range concat (index ($part | default dict) "initContainers" | default list) (index ($part | default dict) "sidecars" | default list) -}}
{{- if has .name $ours -}}
{{- fail (printf "a container of yours is called %s, as one of the chart: call it otherwise" .name) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
