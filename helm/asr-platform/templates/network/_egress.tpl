{{/* What a program of a part may reach, whatever it does: names, Redis, and where it keeps recordings.
     Takes root, part, and at will: "store" true; "layers" of users' environment. */}}
{{- define "asr.egress" -}}
{{- $rules := concat
      (include "asr.egress.dns" .root | fromYamlArray)
      (include "asr.egress.redis" .root | fromYamlArray)
      (include "asr.egress.proxy" . | fromYamlArray) -}}
{{- if .store -}}
{{- $rules = concat $rules (include "asr.egress.store" .root | fromYamlArray) (include "asr.egress.identity" . | fromYamlArray) -}}
{{- end -}}
{{- toYaml $rules -}}
{{- end -}}

{{/* TCP ports of a rule. Takes a list of numbers. */}}
{{- define "asr.egress.tcp" -}}
{{- range . }}
- {port: {{ . }}, protocol: TCP}
{{- end }}
{{- end -}}

{{/* Policies judge a packet with its last address and port: those of a DNS pod, not of its Service. */}}
{{- define "asr.egress.dns" -}}
- ports:
    {{- range .Values.networkPolicies.dnsPorts }}
    - {port: {{ . }}, protocol: UDP}
    - {port: {{ . }}, protocol: TCP}
    {{- end }}
  {{- with .Values.networkPolicies.dnsTo }}
  to:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}

{{- define "asr.egress.redis" -}}
{{- if .Values.redis.enabled -}}
- to:
    - podSelector:
        matchLabels:
          {{- include "asr.selector" (dict "root" . "part" "redis") | nindent 10 }}
  ports: [{port: redis, protocol: TCP}]
{{- else -}}
- ports:
    {{- include "asr.egress.tcp" (prepend .Values.networkPolicies.redisPorts .Values.redis.external.port | uniq) | nindent 4 }}
  {{- with .Values.networkPolicies.redisTo }}
  to:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}
{{- end -}}

{{/* A volume is mounted by the node; a bucket is somewhere outside. */}}
{{- define "asr.egress.store" -}}
{{- if ne .Values.store.type "pvc" -}}
- ports:
    {{- include "asr.egress.tcp" .Values.networkPolicies.storePorts | nindent 4 }}
  {{- with .Values.networkPolicies.storeTo }}
  to:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}
{{- end -}}

{{/* Where a pool's pods go beside what all workers reach: for models, and to a server of models. Takes
     root, pool, settings. */}}
{{- define "asr.egress.pool" -}}
{{- $network := .root.Values.networkPolicies -}}
{{- if eq (include "asr.pool.downloads" .) "true" }}
- ports:
    {{- include "asr.egress.tcp" (include "asr.egress.modelPorts" . | fromYamlArray) | nindent 4 }}
  {{- with $network.modelsTo }}
  to:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}
{{- $remote := .settings.remote -}}
{{- if and (eq .settings.model.engine "remote") $remote.url }}
- ports:
    {{- include "asr.egress.tcp" (prepend $network.remotePorts (include "asr.url.port" $remote.url | int) | uniq) | nindent 4 }}
  {{- with $network.remoteTo }}
  to:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}
{{- end -}}

{{/* Ports that models come from: hubs, mirrors that the environment names, and the pool's archive. */}}
{{- define "asr.egress.modelPorts" -}}
{{- $ports := .root.Values.networkPolicies.modelPorts -}}
{{- range $layer := list .root.Values.settings .settings.env -}}
{{- range $name := list "HF_ENDPOINT" "PIP_INDEX_URL" "PIP_EXTRA_INDEX_URL" -}}
{{- $url := index ($layer | default dict) $name -}}
{{- if and (kindIs "string" $url) $url -}}
{{- range splitList " " $url }}{{ $ports = append $ports (include "asr.url.port" . | int) }}{{ end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- range .settings.model.mirrors -}}
{{- if contains "://" . }}{{ $ports = append $ports (include "asr.url.port" . | int) }}{{ end -}}
{{- end -}}
{{- with .settings.model.archive }}{{ $ports = append $ports (include "asr.url.port" .url | int) }}{{ end -}}
{{- toYaml ($ports | uniq) -}}
{{- end -}}

{{/* Host and port of a URL. */}}
{{- define "asr.url.place" -}}
{{- regexReplaceAll "^([a-zA-Z0-9]+://)?([^@/]*@)?([^/?#]*).*$" . "${3}" -}}
{{- end -}}
{{- define "asr.url.host" -}}
{{- regexReplaceAll ":[0-9]+$" (include "asr.url.place" .) "" | trimAll "[]" -}}
{{- end -}}
{{- define "asr.url.port" -}}
{{- $named := regexFind ":[0-9]+$" (include "asr.url.place" .) | trimPrefix ":" -}}
{{- if $named }}{{ $named }}{{ else if hasPrefix "https:" . }}443{{ else if hasPrefix "socks" . }}1080{{ else }}80{{ end -}}
{{- end -}}

{{/* Where the cloud hands out identities. The courier calls what users name: it is kept from services
     that give the node's identity to whoever asks. */}}
{{- define "asr.egress.identity" -}}
{{- $network := .root.Values.networkPolicies -}}
{{- $store := .root.Values.store -}}
{{- $part := .part -}}
{{- $wanted := kindIs "invalid" $network.identity | ternary (and (ne $store.type "pvc") (not $store.existingSecret)) $network.identity -}}
{{- if $wanted -}}
{{- range (index $network.identityEndpoints $store.type) -}}
{{- if or (ne $part "courier") (not .ofNode) }}
- to: [{ipBlock: {cidr: {{ .cidr | quote }}}}]
  ports:
    {{- include "asr.egress.tcp" .ports | nindent 4 }}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* A proxy of the environment. By its address where it has one, else by its port; for the courier a
     port alone must not lead where it never goes. */}}
{{- define "asr.egress.proxy" -}}
{{- $network := .root.Values.networkPolicies -}}
{{- $world := "" -}}
{{- if eq .part "courier" }}{{ $world = include "asr.egress.world" .root }}{{ end -}}
{{- $to := $network.proxyTo | default ($world | fromYamlArray) -}}
{{- $ports := $network.proxyPorts -}}
{{- $addresses := list -}}
{{- range $layer := concat (list .root.Values.settings) (.layers | default list) -}}
{{- range $name := list "HTTP_PROXY" "http_proxy" "HTTPS_PROXY" "https_proxy" "ALL_PROXY" "all_proxy" -}}
{{- $url := index ($layer | default dict) $name -}}
{{- if and (kindIs "string" $url) $url -}}
{{- $port := include "asr.url.port" $url | int -}}
{{- $host := include "asr.url.host" $url -}}
{{- if $network.proxyTo -}}
{{- $ports = append $ports $port -}}
{{- else if regexMatch "^[0-9.]+$" $host -}}
{{- $addresses = append $addresses (dict "cidr" (printf "%s/32" $host) "port" $port) -}}
{{- else if contains ":" $host -}}
{{- $addresses = append $addresses (dict "cidr" (printf "%s/128" $host) "port" $port) -}}
{{- else -}}
{{- $ports = append $ports $port -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- with $ports | uniq }}
- ports:
    {{- include "asr.egress.tcp" . | nindent 4 }}
  {{- with $to }}
  to:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}
{{- range $addresses | uniq }}
- to: [{ipBlock: {cidr: {{ .cidr | quote }}}}]
  ports: [{port: {{ .port }}, protocol: TCP}]
{{- end }}
{{- end -}}

{{/* Everything but the networks that the courier never reaches. */}}
{{- define "asr.egress.world" -}}
- ipBlock:
    cidr: 0.0.0.0/0
    except:
      {{- toYaml .Values.networkPolicies.courierNeverTo.ipv4 | nindent 6 }}
- ipBlock:
    cidr: ::/0
    except:
      {{- toYaml .Values.networkPolicies.courierNeverTo.ipv6 | nindent 6 }}
{{- end -}}
