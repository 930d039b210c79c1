import { useInfiniteQuery } from '@tanstack/react-query'
import { Button, Empty, Segmented, Table, Typography } from 'antd'
import { Link, useSearchParams } from 'react-router'
import { api, ok, type Schemas } from '../../api/client'
import { useRights } from '../../app/session'
import { useTexts } from '../../app/texts'
import { Export, type Field } from '../../parts/Export'
import { Failed } from '../../parts/Failed'
import { Head } from '../../parts/Head'
import { Ago } from '../../parts/Time'
import { useWords } from '../../parts/words'
import { Stand } from './Stand'
import en from './en.json'
import zh from './zh.json'

type Replay = Schemas['Replay']

/** Replays are lists of messages that are told again, slowly. */
export default function Replays() {
  const t = useTexts({ zh, en })
  const { t: words } = useWords()
  const { may, nameOf } = useRights()
  const [address, setAddress] = useSearchParams()
  const open = address.get('open') === '1'
  const list = useInfiniteQuery({
    queryKey: ['replays', open],
    initialPageParam: 0,
    queryFn: ({ pageParam }) => ok(api.GET('/v1/replays', { params: { query: { open, limit: 50, ...(pageParam ? { before: pageParam } : {}) } } })),
    getNextPageParam: (last) => last.next || undefined,
    refetchInterval: 5000,
  })
  const rows = (list.data?.pages ?? []).flatMap((p) => p.replays)
  const hospitals = (r: Replay) => r.parts.map((p) => nameOf(p.hospital)).join(', ')
  const fields: Field<Replay>[] = [
    { title: t('number'), of: (r) => r.id },
    { title: t('state'), of: (r) => t(`state.${r.state}`) },
    { title: words('hospital'), of: hospitals },
    { title: t('items'), of: (r) => r.total.items },
    { title: t('delivered'), of: (r) => r.total.delivered },
    { title: t('parked'), of: (r) => r.total.parked },
    { title: t('by'), of: (r) => r.created_by },
    { title: t('made'), of: (r) => new Date(r.created_at) },
    { title: t('why'), of: (r) => r.note },
  ]
  return (
    <>
      <Head title={t('menu')} about={t('about')}>
        {may('hub:decide') && (
          <Link to="/replays/new">
            <Button type="primary">{t('new')}</Button>
          </Link>
        )}
        <Export name="replays" fields={fields} rows={rows} />
      </Head>
      <Segmented
        style={{ marginBottom: 12 }}
        value={open ? 'open' : 'all'}
        onChange={(v) => setAddress(v === 'open' ? { open: '1' } : {})}
        options={(['all', 'open'] as const).map((w) => ({ value: w as string, label: t(`show.${w}`) }))}
      />
      {list.isError ? (
        <Failed error={list.error} again={() => void list.refetch()} />
      ) : (
        <>
          <Table<Replay>
            rowKey="id"
            size="small"
            loading={list.isPending}
            dataSource={rows}
            pagination={false}
            scroll={{ x: 'max-content' }}
            locale={{ emptyText: <Empty image={Empty.PRESENTED_IMAGE_SIMPLE} description={t('none')} /> }}
            columns={[
              { title: t('number'), render: (_, r) => <Link to={`/replays/${r.id}`}>{r.id}</Link> },
              { title: t('state'), render: (_, r) => <Stand state={r.state} /> },
              { title: words('hospital'), render: (_, r) => hospitals(r) },
              { title: t('delivered'), render: (_, r) => t('of', { n: r.total.delivered, all: r.total.items }) },
              { title: t('by'), render: (_, r) => r.created_by },
              { title: t('made'), render: (_, r) => <Ago at={r.created_at} /> },
              { title: t('why'), render: (_, r) => <span style={{ display: 'inline-block', maxWidth: 360, whiteSpace: 'normal' }}>{r.note}</span> },
            ]}
          />
          <div className="row" style={{ marginTop: 12 }}>
            <Typography.Text type="secondary">{words('shown', { n: rows.length })}</Typography.Text>
            {list.hasNextPage && (
              <Button onClick={() => void list.fetchNextPage()} loading={list.isFetchingNextPage}>
                {words('more')}
              </Button>
            )}
          </div>
        </>
      )}
    </>
  )
}
