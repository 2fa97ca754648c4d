{{- define "liucun.labels" -}}
app.kubernetes.io/name: liucun
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
{{- end }}
{{- define "liucun.select" -}}
app.kubernetes.io/name: liucun
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}
{{- define "liucun.image" -}}{{ .Values.image.repository }}:{{ .Values.image.tag }}{{- end }}
{{- define "liucun.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
seccompProfile: { type: RuntimeDefault }
{{- end }}
{{- define "liucun.security" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: { drop: [ALL] }
{{- end }}
{{- define "liucun.environment" -}}
- { name: LIUCUN_STORE, value: {{ .Values.store.path | quote }} }
- { name: LIUCUN_PASSPHRASE_FILE, value: /run/liucun/passphrase }
- { name: LIUCUN_LOG, value: json }
- { name: NUMBA_CACHE_DIR, value: /tmp/numba }
{{- end }}
{{- define "liucun.mounts" -}}
- { name: store, mountPath: {{ .Values.store.path | quote }} }
- { name: passphrase, mountPath: /run/liucun, readOnly: true }
- { name: scratch, mountPath: /tmp }
{{- end }}
{{- define "liucun.volumes" -}}
- { name: store, persistentVolumeClaim: { claimName: {{ .Values.store.claim }} } }
- { name: passphrase, secret: { secretName: {{ .Values.secrets.passphrase }}, defaultMode: 0440 } }
- { name: scratch, emptyDir: { sizeLimit: 1Gi } }
{{- end }}
{{- define "liucun.deployment" -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ .root.Release.Name }}-{{ .part }}
  labels: {{- include "liucun.labels" .root | nindent 4 }}
    app.kubernetes.io/component: {{ .part }}
spec:
  replicas: {{ .replicas }}
  {{- if eq (int .replicas) 1 }}
  strategy: { type: Recreate }
  {{- end }}
  selector:
    matchLabels: {{- include "liucun.select" .root | nindent 6 }}
      app.kubernetes.io/component: {{ .part }}
  template:
    metadata:
      labels: {{- include "liucun.labels" .root | nindent 8 }}
        app.kubernetes.io/component: {{ .part }}
      annotations: { prometheus.io/scrape: "true", prometheus.io/port: "9464" }
    spec:
      automountServiceAccountToken: false
      terminationGracePeriodSeconds: 120
      securityContext: {{- include "liucun.podSecurity" .root | nindent 8 }}
      containers:
        - name: liucun
          image: {{ include "liucun.image" .root }}
          imagePullPolicy: {{ .root.Values.image.pullPolicy }}
          args: {{ toJson (concat .args (list "--metrics" "0.0.0.0:9464")) }}
          env: {{- include "liucun.environment" .root | nindent 12 }}
          envFrom: [{ secretRef: { name: {{ .root.Values.secrets.environment }}, optional: true } }]
          ports:
            - { name: metrics, containerPort: 9464 }
            {{- if eq .part "console" }}
            - { name: http, containerPort: 8800 }
            {{- end }}
          startupProbe: { httpGet: { path: /health, port: metrics }, periodSeconds: 5, failureThreshold: 60 }
          livenessProbe: { httpGet: { path: /health, port: metrics }, periodSeconds: 20, failureThreshold: 6 }
          readinessProbe: { httpGet: { path: /ready, port: metrics }, periodSeconds: 10 }
          resources:
            requests: { cpu: {{ .sizes.cpu }}, memory: {{ .sizes.memory }} }
            limits: { memory: {{ .sizes.memory }} }
          securityContext: {{- include "liucun.security" .root | nindent 12 }}
          volumeMounts: {{- include "liucun.mounts" .root | nindent 12 }}
      volumes: {{- include "liucun.volumes" .root | nindent 8 }}
{{- end }}
