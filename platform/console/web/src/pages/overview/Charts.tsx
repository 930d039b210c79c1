import { useQuery } from '@tanstack/react-query'
import { Card, Segmented, theme } from 'antd'
import { useState } from 'react'
import { api, ok } from '../../api/client'
import { useTexts } from '../../app/texts'
import { Chart } from '../../parts/Chart'
import { Failed } from '../../parts/Failed'
import en from './en.json'
import zh from './zh.json'

/** Charts show what went on in the last minutes, over all hospitals that the person sees. */
export function Charts() {
  const t = useTexts({ zh, en })
  const { token } = theme.useToken()
  const [minutes, setMinutes] = useState<60 | 120 | 1440>(60)
  const o = useQuery({
    queryKey: ['overview', minutes],
    queryFn: () => ok(api.GET('/v1/overview', { params: { query: { minutes } } })),
    refetchInterval: 30_000, // counted every few seconds; only while this page is open and looked at
  })
  if (o.isError) return <Failed error={o.error} again={() => void o.refetch()} />
  const points = o.data?.points ?? []
  const at = points.map((p) => Date.parse(p.at) / 1000)
  const last = [...points].reverse().find((p) => p.exchanges > 0)
  return (
    <Card size="small" extra={<Segmented value={minutes} onChange={setMinutes} options={([60, 120, 1440] as const).map((m) => ({ value: m, label: t(`span.${m}`) }))} />} loading={o.isPending} title={t('throughput') + ' · ' + t('latency')}>
      <div className="sides">
        <Chart
          title={t('throughput')}
          caption={last ? t('throughput.now', { delivered: last.delivered, exchanges: last.exchanges, failed: last.failed }) : t('latency.none')}
          at={at}
          unit=""
          lines={[
            { name: t('exchanges'), colour: token.colorPrimary, values: points.map((p) => p.exchanges) },
            { name: t('delivered'), colour: token.colorSuccess, values: points.map((p) => p.delivered) },
            { name: t('failed'), colour: token.colorError, values: points.map((p) => p.failed) },
          ]}
        />
        <Chart
          title={t('latency')}
          caption={last?.p50_ms !== undefined && last.p95_ms !== undefined ? t('latency.now', { p50: last.p50_ms, p95: last.p95_ms }) : t('latency.none')}
          at={at}
          unit=" ms"
          lines={[
            { name: 'p50', colour: token.colorPrimary, values: points.map((p) => p.p50_ms ?? null) },
            { name: 'p95', colour: token.colorWarning, values: points.map((p) => p.p95_ms ?? null) },
          ]}
        />
      </div>
    </Card>
  )
}
