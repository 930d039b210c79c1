import { useQuery, useQueryClient } from '@tanstack/react-query'
import { Button, Empty, Segmented, Select, Table, Tag, Typography } from 'antd'
import { Link, useSearchParams } from 'react-router'
import { api, ok, type Schemas } from '../../api/client'
import { useLive } from '../../app/live'
import { useRights } from '../../app/session'
import { useTexts } from '../../app/texts'
import { useAsk } from '../../parts/Ask'
import { Export, type Field } from '../../parts/Export'
import { Failed } from '../../parts/Failed'
import { Head } from '../../parts/Head'
import { Ago, Time } from '../../parts/Time'
import { useWords } from '../../parts/words'
import en from './en.json'
import zh from './zh.json'

type Incident = Schemas['Incident']

/** Incidents are stretches of trouble, one a hospital and kind, and who looks at them. */
export default function Incidents() {
  const t = useTexts({ zh, en })
  const { word, t: words } = useWords()
  const { me, may, nameOf } = useRights()
  const queries = useQueryClient()
  const { ask, asking } = useAsk()
  const live = useLive()
  const [address, setAddress] = useSearchParams()
  const all = address.get('all') === '1'
  const hospital = address.get('hospital') ?? ''
  const set = (name: string, value: string) => {
    const next = new URLSearchParams(address)
    if (value) next.set(name, value)
    else next.delete(name)
    setAddress(next)
  }
  // One that comes or goes changes the lights, which say so by themselves.
  const news = live.lights.map((l) => (l.incidents ?? []).map((i) => `${i.id} ${i.looked_at ?? ''}`).join()).join()
  const list = useQuery({
    queryKey: ['incidents', 'page', all, hospital, news],
    queryFn: async () => (await ok(api.GET('/v1/incidents', { params: { query: { open: !all, limit: 500, ...(hospital ? { hospital } : {}) } } }))).incidents,
    placeholderData: (before) => before,
  })
  const look = (i: Incident) =>
    ask({
      title: t('look.title', { what: word('incident', i.kind) }),
      about: t('look.about'),
      act: t('look'),
      note: true,
      run: async (note) => {
        await ok(api.POST('/v1/incidents/{id}/look', { params: { path: { id: i.id } }, body: { note } }))
        await queries.invalidateQueries({ queryKey: ['incidents'] })
      },
    })
  const where = (i: Incident) => (i.hospital ? nameOf(i.hospital) : t('hub'))
  const fields: Field<Incident>[] = [
    { title: t('what'), of: (i) => word('incident', i.kind) },
    { title: t('severity'), of: (i) => word('severity', i.severity) },
    { title: words('hospital'), of: where },
    { title: t('detail'), of: (i) => i.detail },
    { title: t('opened'), of: (i) => new Date(i.opened_at) },
    { title: t('resolved'), of: (i) => (i.resolved_at ? new Date(i.resolved_at) : null) },
    { title: t('looks'), of: (i) => i.looked_by },
    { title: t('note'), of: (i) => i.looked_note },
  ]
  const rows = list.data ?? []
  return (
    <>
      <Head title={t('menu')} about={t('about')}>
        <Export name="incidents" fields={fields} rows={rows} />
      </Head>
      <div className="row" style={{ marginBottom: 12 }}>
        <Segmented value={all ? 'all' : 'open'} onChange={(v) => set('all', v === 'all' ? '1' : '')} options={(['open', 'all'] as const).map((w) => ({ value: w as string, label: t(`show.${w}`) }))} />
        <Select
          allowClear
          showSearch={{ optionFilterProp: 'label' }}
          aria-label={words('hospital')}
          placeholder={words('hospital')}
          value={hospital || undefined}
          onChange={(v: string | undefined) => set('hospital', v ?? '')}
          options={(me?.hospitals ?? []).map((h) => ({ value: h.id, label: h.name || h.id }))}
          style={{ minWidth: 180 }}
        />
      </div>
      {list.isError ? (
        <Failed error={list.error} again={() => void list.refetch()} />
      ) : (
        <Table<Incident>
          rowKey="id"
          size="small"
          loading={list.isPending}
          dataSource={rows}
          pagination={{ pageSize: 50, hideOnSinglePage: true, showSizeChanger: false }}
          scroll={{ x: 'max-content' }}
          locale={{ emptyText: <Empty image={Empty.PRESENTED_IMAGE_SIMPLE} description={all ? t('none.all') : t('none.open')} /> }}
          columns={[
            { title: t('what'), render: (_, i) => <Tag color={i.severity === 'critical' ? 'red' : 'orange'} variant="outlined">{word('incident', i.kind)}</Tag> },
            { title: words('hospital'), render: (_, i) => (i.hospital ? <Link to={`/hospitals/${i.hospital}`}>{where(i)}</Link> : where(i)) },
            { title: t('detail'), render: (_, i) => <span style={{ display: 'inline-block', maxWidth: 420, whiteSpace: 'normal' }}>{i.detail}</span> },
            { title: t('opened'), render: (_, i) => <Ago at={i.opened_at} /> },
            { title: t('resolved'), render: (_, i) => (i.resolved_at ? <Time at={i.resolved_at} /> : t('goes.on')) },
            {
              title: t('looks'),
              render: (_, i) => (
                <span style={{ display: 'inline-block', maxWidth: 320, whiteSpace: 'normal' }}>
                  {i.looked_by}
                  {i.looked_note && <Typography.Text type="secondary"> {i.looked_note}</Typography.Text>}
                </span>
              ),
            },
            {
              title: t('do'),
              render: (_, i) =>
                !i.resolved_at && may('hub:decide', i.hospital || undefined) ? (
                  <Button size="small" onClick={() => look(i)}>
                    {i.looked_by ? t('note.again') : t('look')}
                  </Button>
                ) : null,
            },
          ]}
        />
      )}
      {asking}
    </>
  )
}
