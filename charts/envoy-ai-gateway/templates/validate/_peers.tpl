{{/* SPDX-License-Identifier: Apache-2.0 */}}

{{/* All lists of peers, by where they are. */}}
{{- define "envoy-ai-gateway.peerLists" -}}
{{- $lists := dict "networkPolicy.peers.pprof" .Values.networkPolicy.peers.pprof -}}
{{- $_ := set $lists "networkPolicy.peers.grpc" .Values.networkPolicy.peers.grpc -}}
{{- $_ := set $lists "networkPolicy.peers.admin" .Values.networkPolicy.peers.admin -}}
{{- range $i, $port := .Values.networkPolicy.extraPorts -}}
{{- $_ := set $lists (printf "networkPolicy.extraPorts[%d].peers" $i) $port.peers -}}
{{- end -}}
{{ toYaml $lists }}
{{- end }}
