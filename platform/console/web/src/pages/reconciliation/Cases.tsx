import { useInfiniteQuery } from '@tanstack/react-query'
import { Button, Empty, Input, Select, Table, Typography } from 'antd'
import { Link, useSearchParams } from 'react-router'
import { api, ok, type Schemas } from '../../api/client'
import { useRights } from '../../app/session'
import { Export, type Field } from '../../parts/Export'
import { Failed } from '../../parts/Failed'
import { Ago } from '../../parts/Time'
import { useWords } from '../../parts/words'
import { Yuan } from '../../parts/Yuan'
import { CaseState, differences, useReckoning } from './words'

type Case = Schemas['Case']

const states = ['open', 'repairing', 'resolved', 'written_off'] as const

/** Cases are differences with what people do about them: the open ones, or any. */
export function Cases({ hospital }: { hospital: string }) {
  const { t, difference, caseState, type, owner, action, repair } = useReckoning()
  const { t: words } = useWords()
  const { nameOf } = useRights()
  const [address, setAddress] = useSearchParams()
  const state = address.get('state') ?? ''
  const of = address.get('class') ?? ''
  const number = address.get('number') ?? ''
  const set = (name: string, value: string) => {
    const next = new URLSearchParams(address)
    if (value) next.set(name, value)
    else next.delete(name)
    setAddress(next)
  }
  const list = useInfiniteQuery({
    queryKey: ['cases', 'list', hospital, state, of, number],
    initialPageParam: 0,
    queryFn: ({ pageParam }) =>
      ok(
        api.GET('/v1/cases', {
          params: {
            query: {
              limit: 50,
              ...(hospital ? { hospital } : {}),
              ...(state === '' ? { live: true } : state === 'all' ? {} : { state: state as (typeof states)[number] }),
              ...(of ? { class: of as (typeof differences)[number] } : {}),
              ...(number ? { number } : {}),
              ...(pageParam ? { before: pageParam } : {}),
            },
          },
        }),
      ),
    getNextPageParam: (last) => last.next || undefined,
  })
  const rows = (list.data?.pages ?? []).flatMap((p) => p.cases ?? [])
  const fields: Field<Case>[] = [
    { title: t('case'), of: (c) => c.id },
    { title: words('hospital'), of: (c) => c.hospital },
    { title: t('day'), of: (c) => c.day },
    { title: t('class'), of: (c) => difference(c.class) },
    { title: t('type'), of: (c) => type(c.type) },
    { title: t('number'), of: (c) => c.number },
    { title: t('amount'), of: (c) => c.amount / 100 },
    { title: words('state'), of: (c) => caseState(c.state) },
    { title: t('owner'), of: (c) => owner(c.owner) },
    { title: t('opened'), of: (c) => new Date(c.opened_at) },
  ]
  if (list.isError) return <Failed error={list.error} again={() => void list.refetch()} />
  return (
    <>
      <div className="row" style={{ marginBottom: 12 }}>
        <Select
          aria-label={words('state')}
          value={state}
          onChange={(v) => set('state', v)}
          options={[{ value: '', label: t('live') }, ...states.map((s) => ({ value: s as string, label: caseState(s) })), { value: 'all', label: words('any') }]}
          style={{ minWidth: 130 }}
        />
        <Select
          aria-label={t('class')}
          value={of}
          onChange={(v) => set('class', v)}
          options={[{ value: '', label: t('class.any') }, ...differences.map((c) => ({ value: c as string, label: difference(c) }))]}
          style={{ minWidth: 160 }}
        />
        <Input.Search aria-label={t('number')} placeholder={t('number')} defaultValue={number} onSearch={(v) => set('number', v.trim())} allowClear style={{ maxWidth: 240 }} />
        <div className="grow" />
        <Button onClick={() => void list.refetch()}>{words('refresh')}</Button>
        <Export name="cases" fields={fields} rows={rows} />
      </div>
      <Table<Case>
        rowKey="id"
        size="small"
        loading={list.isPending}
        dataSource={rows}
        pagination={false}
        scroll={{ x: 'max-content' }}
        locale={{ emptyText: <Empty image={Empty.PRESENTED_IMAGE_SIMPLE} description={state === '' && !of && !number ? t('cases.none') : t('cases.nosuch')} /> }}
        columns={[
          { title: t('case'), render: (_, c) => <Link to={`/reconciliation/cases/${c.id}`}>{t('case.no', { n: c.id })}</Link> },
          { title: words('hospital'), render: (_, c) => nameOf(c.hospital) },
          { title: t('day'), render: (_, c) => <Link to={`/reconciliation/nights/${c.hospital}/${c.day}`}>{c.day}</Link> },
          { title: t('class'), render: (_, c) => difference(c.class) },
          { title: t('number'), render: (_, c) => <span className="mono">{c.number}</span> },
          { title: t('amount'), align: 'end', render: (_, c) => <Yuan fen={c.amount} /> },
          { title: words('state'), render: (_, c) => <CaseState state={c.state} /> },
          { title: t('owner'), render: (_, c) => owner(c.owner) },
          { title: t('opened'), render: (_, c) => <Ago at={c.opened_at} /> },
          { title: t('repair'), render: (_, c) => c.repair && `${action(c.repair.action)} · ${repair(c.repair.state)}` },
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
  )
}
