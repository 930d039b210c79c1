import { useQuery, useQueryClient } from '@tanstack/react-query'
import { Button, Card, Empty, Segmented, Table, Tag } from 'antd'
import { useState } from 'react'
import { api, ok, type Schemas } from '../../api/client'
import { useRights } from '../../app/session'
import { useTexts } from '../../app/texts'
import { useAsk } from '../../parts/Ask'
import { Failed } from '../../parts/Failed'
import { Ago, Time } from '../../parts/Time'
import { useWords } from '../../parts/words'
import en from './en.json'
import zh from './zh.json'

type Incident = Schemas['Incident']

/** Incidents are what needs a look, or needed it. open changes when an incident comes or goes. */
export function Incidents({ open }: { open: string }) {
  const t = useTexts({ zh, en })
  const { word } = useWords()
  const { may, nameOf } = useRights()
  const queries = useQueryClient()
  const { ask, asking } = useAsk()
  const [which, setWhich] = useState<'open' | 'over'>('open')
  const list = useQuery({
    queryKey: ['incidents', which, open],
    queryFn: async () => {
      const got = await ok(api.GET('/v1/incidents', { params: { query: { open: which === 'open', limit: 50 } } }))
      return which === 'open' ? got.incidents : got.incidents.filter((i) => i.resolved_at)
    },
    placeholderData: (before) => before,
  })
  const look = (i: Incident) =>
    ask({
      title: t('look.title'),
      about: t('look.about'),
      act: t('look'),
      note: true,
      run: async (note) => {
        await ok(api.POST('/v1/incidents/{id}/look', { params: { path: { id: i.id } }, body: { note } }))
        await queries.invalidateQueries({ queryKey: ['incidents'] })
      },
    })
  return (
    <Card
      size="small"
      style={{ marginTop: 16 }}
      title={<h2 style={{ fontSize: 16, margin: 0 }}>{t('incidents')}</h2>}
      extra={<Segmented value={which} onChange={setWhich} options={(['open', 'over'] as const).map((w) => ({ value: w, label: t(`incidents.${w}`) }))} />}
    >
      {list.isError ? (
        <Failed error={list.error} again={() => void list.refetch()} />
      ) : (
        <Table<Incident>
          rowKey="id"
          size="small"
          loading={list.isPending}
          dataSource={list.data ?? []}
          pagination={{ pageSize: 10, hideOnSinglePage: true }}
          scroll={{ x: 'max-content' }}
          locale={{ emptyText: <Empty image={Empty.PRESENTED_IMAGE_SIMPLE} description={t(`incidents.none.${which}`)} /> }}
          columns={[
            { title: t('incidents'), render: (_, i) => <Tag color={i.severity === 'critical' ? 'error' : 'warning'} variant="outlined">{word('incident', i.kind)}</Tag> },
            { title: t('hospitals'), render: (_, i) => (i.hospital ? nameOf(i.hospital) : t('hub')) },
            { title: t('detail'), render: (_, i) => <span style={{ display: 'inline-block', maxWidth: 420, whiteSpace: 'normal' }}>{i.detail}</span> },
            { title: t('opened'), render: (_, i) => <Ago at={i.opened_at} /> },
            which === 'open'
              ? {
                  title: t('look'),
                  render: (_, i) =>
                    i.looked_by ? t('looking', { who: i.looked_by }) : may('hub:decide', i.hospital || undefined) ? <Button size="small" onClick={() => look(i)}>{t('look')}</Button> : null,
                }
              : { title: t('resolved'), render: (_, i) => <Time at={i.resolved_at} /> },
          ]}
        />
      )}
      {asking}
    </Card>
  )
}
