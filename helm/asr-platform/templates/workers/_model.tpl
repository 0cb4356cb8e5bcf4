{{/* Where a pool's models are: {place, folder, volume}. `image`: baked in, nothing is mounted over it;
     `store`: a folder of the store's volume; `volume`: a volume of the pool, at /models. Takes
     (dict "root" $ "pool" . "settings" …). */}}
{{- define "asr.pool.models" -}}
{{- $cache := .settings.modelCache -}}
{{- $own := dict "claimName" (include "asr.pool.deployment" . | printf "%s-models") -}}
{{- $empty := dict "emptyDir" (dict "sizeLimit" $cache.size) -}}
{{- $volume := dict -}}
{{- $place := "volume" -}}
{{- if $cache.inImage }}{{ $place = "image" -}}
{{- else if $cache.existingClaim }}{{ $volume = dict "persistentVolumeClaim" (dict "claimName" $cache.existingClaim) -}}
{{- else if has "models" (include "asr.pool.ownVolumes" .settings | fromYamlArray) }}{{ $volume = $empty -}}
{{- else if and (kindIs "invalid" $cache.persistent) (eq .root.Values.store.type "pvc") }}{{ $place = "store" -}}
{{- else if $cache.persistent }}{{ $volume = dict "persistentVolumeClaim" $own -}}
{{- else }}{{ $volume = $empty -}}
{{- end -}}
{{- $folder := eq $place "store" | ternary "/var/lib/asr-platform/store/models" "/models" -}}
{{- dict "place" $place "folder" $folder "volume" $volume | toYaml -}}
{{- end -}}

{{- define "asr.pool.ownVolumes" -}}
{{- $names := list -}}
{{- range .extraVolumes }}{{ $names = append $names .name }}{{ end -}}
{{- toYaml $names -}}
{{- end -}}

{{/* Engine of a model that this version has in its catalogue, which is pinned by its files' hashes;
     empty for all others. Takes (list $ name). files/models.yaml is generated. */}}
{{- define "asr.catalogue.engine" -}}
{{- $name := index . 1 -}}
{{- range (index . 0).Files.Get "files/models.yaml" | fromYamlArray -}}
{{- if has $name .names }}{{ .engine }}{{ end -}}
{{- end -}}
{{- end -}}

{{/* "true" where an init container fetches the pool's model, or checks what is cached. */}}
{{- define "asr.pool.pulls" -}}
{{- $model := .settings.model -}}
{{- $known := include "asr.catalogue.engine" (list .root $model.name) -}}
{{- and (not (empty $known)) (not $model.archive) (not .settings.modelCache.inImage) (ne $model.engine "remote") -}}
{{- end -}}

{{/* "true" where a pod of the pool downloads something: its model, or one beside it. */}}
{{- define "asr.pool.downloads" -}}
{{- $model := .settings.model -}}
{{- $remote := eq $model.engine "remote" -}}
{{- $wanted := false -}}
{{- range concat ($remote | ternary list (list $model.name)) (list $model.punctuation $model.voiceActivity $model.speakers) -}}
{{- if and . (ne . "embedded") (not (hasPrefix "/" .)) }}{{ $wanted = true }}{{ end -}}
{{- end -}}
{{- $fetches := or $model.archive (and $wanted (not .settings.modelCache.inImage)) (and $remote .settings.remote.sidecar) -}}
{{- and (not (empty $fetches)) (not $model.offline) .root.Values.networkPolicies.modelDownloads -}}
{{- end -}}

{{/* What the worker loads; nothing where a server has the model. A downloaded archive lies in a folder
     named by its checksum: another checksum, another folder. */}}
{{- define "asr.pool.model" -}}
{{- if eq .settings.model.engine "remote" -}}
{{- else if .settings.model.archive -}}
{{ (include "asr.pool.models" . | fromYaml).folder }}/archives/{{ .settings.model.archive.sha256 }}
{{- else -}}
{{ .settings.model.name }}
{{- end -}}
{{- end -}}

{{/* Settings by which a model is found: the same for the container that fetches it and for the worker.
     A baked-in folder is the image's own setting. */}}
{{- define "asr.pool.modelEnv" -}}
{{- $models := include "asr.pool.models" . | fromYaml -}}
HOME: /tmp
{{- if ne $models.place "image" }}
ASR_MODEL_CACHE: {{ $models.folder }}
MODELSCOPE_CACHE: {{ $models.folder }}/modelscope
HF_HOME: {{ $models.folder }}/huggingface
{{- end }}
{{- with .settings.model.mirrors }}
ASR_MODEL_MIRROR: {{ join "," . | quote }}
{{- end }}
{{- if .settings.model.offline }}
ASR_OFFLINE: "1"
{{- end }}
{{- end -}}

{{/* The init containers that put the model in its place, as a list: none, or one. It has the way out
     of the worker, and runs before each, so that the first of them on a volume downloads and the
     others find it checked. Takes root, pool, settings, and "what" as for "asr.container". */}}
{{- define "asr.pool.fetch" -}}
{{- $models := include "asr.pool.models" . | fromYaml -}}
{{- $pulls := eq (include "asr.pool.pulls" .) "true" -}}
{{- if or $pulls .settings.model.archive -}}
{{- $env := mergeOverwrite (include "asr.pool.modelEnv" . | fromYaml) (include "asr.env.authorities" .root | fromYaml) -}}
{{- with .settings.model.archive -}}
{{- $_ := set $env "MODEL_URL" .url -}}
{{- $_ := set $env "MODEL_SHA256" .sha256 -}}
{{- $_ := set $env "MODEL_FOLDER" (include "asr.pool.model" $) -}}
{{- end -}}
{{- $mounts := eq $models.place "volume" | ternary (list (dict "name" "models" "mountPath" "/models")) list -}}
- name: model
  {{- include "asr.container" (merge (dict "env" $env "layers" (list .root.Values.settings .settings.env) "mounts" $mounts "store" (eq $models.place "store")) .what) | nindent 2 }}
  {{- if $pulls }}
  command: [asr, models, pull, {{ .settings.model.name | quote }}]
  {{- else }}
  command: [python, -c]
  args:
    - |
      {{- .root.Files.Get "files/fetch_model.py" | nindent 6 }}
  {{- end }}
{{- end -}}
{{- end -}}
