import { useQuery, useQueryClient } from '@tanstack/react-query'
import { Button, Empty, Segmented, Select, Table, Tag, Typography } from 'antd'
import { Link, useSearchParams } from 'react-router'
import { api, ok, type Schemas } from '../../api/client'
import { useRights } from '../../app/session'
import { useTexts } from '../../app/texts'
import { useAsk } from '../../parts/Ask'
import { Export, type Field } from '../../parts/Export'
import { Failed } from '../../parts/Failed'
import { Head } from '../../parts/Head'
import { Ago } from '../../parts/Time'
import { useWords } from '../../parts/words'
import en from './en.json'
import zh from './zh.json'

type Code = Schemas['UnmappedCode']

/** Codes are those for which a table of a hospital's folder needs a row. */
export default function Codes() {
  const t = useTexts({ zh, en })
  const { t: words } = useWords()
  const { may, where, nameOf } = useRights()
  const queries = useQueryClient()
  const { ask, asking } = useAsk()
  const [address, setAddress] = useSearchParams()
  const hospitals = where('hub:read')
  const hospital = address.get('hospital') ?? hospitals[0]?.id ?? ''
  const all = address.get('all') === '1'
  const set = (name: string, value: string) => {
    const next = new URLSearchParams(address)
    if (value) next.set(name, value)
    else next.delete(name)
    setAddress(next)
  }
  const list = useQuery({
    queryKey: ['codes', hospital, all],
    enabled: hospital !== '',
    queryFn: async () => (await ok(api.GET('/v1/hospitals/{hospital}/unmapped', { params: { path: { hospital }, query: { all } } }))).codes,
  })
  const dismiss = (c: Code) =>
    ask({
      title: t('dismiss.title', { code: c.code, table: c.table }),
      about: t('dismiss.about'),
      act: t('dismiss'),
      note: true,
      run: async (note) => {
        await ok(api.POST('/v1/hospitals/{hospital}/unmapped/dismiss', { params: { path: { hospital } }, body: { table: c.table, direction: c.direction, code: c.code, note } }))
        await queries.invalidateQueries({ queryKey: ['codes'] })
      },
    })
  const fields: Field<Code>[] = [
    { title: t('table'), of: (c) => c.table },
    { title: t('direction'), of: (c) => t(`direction.${c.direction}`) },
    { title: t('code'), of: (c) => c.code },
    { title: t('name'), of: (c) => c.name },
    { title: t('state'), of: (c) => t(`state.${c.state}`) },
    { title: t('failed'), of: (c) => c.unmapped },
    { title: t('defaulted'), of: (c) => c.defaulted },
    { title: t('suggestion'), of: (c) => c.suggestion },
    { title: t('last'), of: (c) => new Date(c.last_seen) },
    { title: t('note'), of: (c) => c.note },
  ]
  const rows = list.data ?? []
  return (
    <>
      <Head title={t('menu')} about={t('about')}>
        <Button onClick={() => void list.refetch()}>{words('refresh')}</Button>
        <Export name={`codes-${hospital}`} fields={fields} rows={rows} />
      </Head>
      <div className="row" style={{ marginBottom: 12 }}>
        <Select
          showSearch={{ optionFilterProp: 'label' }}
          aria-label={words('hospital')}
          value={hospital || undefined}
          onChange={(v: string) => set('hospital', v)}
          options={hospitals.map((h) => ({ value: h.id, label: h.name || h.id }))}
          style={{ minWidth: 180 }}
        />
        <Segmented value={all ? 'all' : 'open'} onChange={(v) => set('all', v === 'all' ? '1' : '')} options={(['open', 'all'] as const).map((w) => ({ value: w as string, label: t(`show.${w}`) }))} />
      </div>
      {hospital === '' ? (
        <Empty image={Empty.PRESENTED_IMAGE_SIMPLE} description={t('nowhere')} />
      ) : list.isError ? (
        <Failed error={list.error} again={() => void list.refetch()} />
      ) : (
        <Table<Code>
          rowKey={(c) => [c.table, c.direction, c.code].join('\n')}
          size="small"
          loading={list.isPending}
          dataSource={rows}
          pagination={{ pageSize: 50, hideOnSinglePage: true, showSizeChanger: false }}
          scroll={{ x: 'max-content' }}
          locale={{ emptyText: <Empty image={Empty.PRESENTED_IMAGE_SIMPLE} description={t('none', { where: nameOf(hospital) })} /> }}
          columns={[
            { title: t('table'), render: (_, c) => <span className="mono">{c.table}</span> },
            { title: t('direction'), render: (_, c) => t(`direction.${c.direction}`) },
            { title: t('code'), render: (_, c) => <span className="mono">{c.code}</span> },
            { title: t('name'), render: (_, c) => c.name },
            { title: t('state'), render: (_, c) => <Tag variant="outlined">{c.dismissed_at ? t('dismissed') : t(`state.${c.state}`)}</Tag> },
            { title: t('suggestion'), render: (_, c) => (c.suggestion ? <span className="mono">{c.suggestion}</span> : '–') },
            { title: t('failed'), render: (_, c) => c.unmapped },
            { title: t('defaulted'), render: (_, c) => c.defaulted },
            { title: t('last'), render: (_, c) => <Ago at={c.last_seen} /> },
            { title: t('message'), render: (_, c) => (c.message ? <Link to={`/messages/${c.message}`}>{c.message}</Link> : '–') },
            {
              title: t('do'),
              render: (_, c) =>
                c.dismissed_at ? (
                  <Typography.Text type="secondary">{t('dismissed.by', { who: c.dismissed_by ?? '', why: c.note ?? '' })}</Typography.Text>
                ) : may('hub:pause', hospital) && (c.state === 'unmapped' || c.state === 'defaulted') ? (
                  <Button size="small" onClick={() => dismiss(c)}>
                    {t('dismiss')}
                  </Button>
                ) : null,
            },
          ]}
        />
      )}
      {rows.length > 0 && !all && <p>{t('how')}</p>}
      {asking}
    </>
  )
}
