{{/* A pool's model, its place and its engine must fit. Takes root, pool, settings. */}}
{{- define "asr.checks.model" -}}
{{- $model := .settings.model -}}
{{- $cache := .settings.modelCache -}}
{{- $remote := .settings.remote -}}
{{- $name := .pool.name -}}
{{- $known := include "asr.catalogue.engine" (list .root $model.name) -}}
{{- if and $model.archive (not (has $model.name (list "embedded" "sensevoice-small"))) -}}
{{- fail (printf "pool %s: model.name and model.archive exclude each other" $name) -}}
{{- end -}}
{{- if eq $model.name "auto" -}}
{{- fail (printf "pool %s: model.name=auto takes what can be had at the moment, so two pods of a pool could have different models: name one, such as sensevoice-small or whisper-base" $name) -}}
{{- end -}}
{{- if and $known $model.revision (not $model.archive) (ne $model.engine "remote") -}}
{{- fail (printf "pool %s: model.revision is for models by their hub id; %s is pinned by the hashes of its files" $name $model.name) -}}
{{- end -}}
{{- if and $cache.inImage (or $cache.persistent $cache.existingClaim $model.archive) -}}
{{- fail (printf "pool %s: modelCache.inImage excludes modelCache.persistent, modelCache.existingClaim and model.archive: a volume would hide the folder of the image" $name) -}}
{{- end -}}
{{- if and $model.offline $model.archive -}}
{{- fail (printf "pool %s: model.offline=true lets nobody be asked, and model.archive is fetched from %s" $name $model.archive.url) -}}
{{- end -}}
{{- if eq $model.engine "remote" -}}
{{- if eq (empty $remote.url) (empty $remote.sidecar) -}}
{{- fail (printf "pool %s: engine remote needs either remote.url, a server that is there, or remote.sidecar, the container of one" $name) -}}
{{- end -}}
{{- else if .pool.remote -}}
{{- fail (printf "pool %s: remote is for model.engine=remote, not %s" $name $model.engine) -}}
{{- end -}}
{{- end -}}
