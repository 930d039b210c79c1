import { useQuery, useQueryClient } from '@tanstack/react-query'
import { Button, Empty, Skeleton, Table } from 'antd'
import { Link } from 'react-router'
import { api, ok, type Schemas } from '../../api/client'
import { useRights } from '../../app/session'
import { useTexts } from '../../app/texts'
import { useAsk } from '../../parts/Ask'
import { Failed } from '../../parts/Failed'
import { Ago } from '../../parts/Time'
import { useWords } from '../../parts/words'
import en from './en.json'
import zh from './zh.json'

type Proposal = Schemas['Proposal']

/** Proposals are corrections of money that wait for a second person. */
export function Proposals() {
  const t = useTexts({ zh, en })
  const { word, t: words } = useWords()
  const { nameOf } = useRights()
  const queries = useQueryClient()
  const { ask, asking } = useAsk()
  const list = useQuery({ queryKey: ['proposals'], queryFn: async () => (await ok(api.GET('/v1/proposals'))).proposals })
  const decide = (p: Proposal, verb: 'approve' | 'reject') =>
    ask({
      title: t(`title.${verb}`, { key: p.key }),
      about: t(`about.${verb}`, { who: p.proposed_by, fields: p.fields.join(', ') }),
      act: t(verb),
      danger: verb === 'reject',
      note: true,
      run: async (note) => {
        const params = { path: { id: p.message, p: p.id } }
        if (verb === 'approve') await ok(api.POST('/v1/messages/{id}/proposals/{p}/approve', { params, body: { note } }))
        else await ok(api.POST('/v1/messages/{id}/proposals/{p}/reject', { params, body: { note } }))
        await Promise.all(['proposals', 'parked', 'message'].map((k) => queries.invalidateQueries({ queryKey: [k] })))
      },
    })
  if (list.isError) return <Failed error={list.error} again={() => void list.refetch()} />
  return (
    <>
      <Table<Proposal>
        rowKey="id"
        size="small"
        loading={list.isPending}
        dataSource={list.data ?? []}
        pagination={{ pageSize: 20, hideOnSinglePage: true }}
        scroll={{ x: 'max-content' }}
        locale={{ emptyText: <Empty image={Empty.PRESENTED_IMAGE_SIMPLE} description={t('proposals.none')} /> }}
        expandable={{ expandedRowRender: (p) => <Correction of={p} /> }}
        columns={[
          { title: t('id'), render: (_, p) => <Link to={`/messages/${p.message}`}>{p.message}</Link> },
          { title: words('hospital'), render: (_, p) => nameOf(p.hospital) },
          { title: words('kind'), render: (_, p) => word('kind', p.kind) },
          { title: t('key'), render: (_, p) => <span className="mono">{p.key}</span> },
          { title: t('fields'), render: (_, p) => p.fields.join(', ') },
          { title: t('by'), render: (_, p) => p.proposed_by },
          { title: t('since'), render: (_, p) => <Ago at={p.proposed_at} /> },
          {
            title: t('do'),
            render: (_, p) => (
              <span className="row">
                <Button size="small" type="primary" onClick={() => decide(p, 'approve')}>
                  {t('approve')}
                </Button>
                <Button size="small" danger onClick={() => decide(p, 'reject')}>
                  {t('reject')}
                </Button>
              </span>
            ),
          },
        ]}
      />
      {asking}
    </>
  )
}

/** Correction is what would be said instead, beside what was said. */
function Correction({ of: p }: { of: Proposal }) {
  const t = useTexts({ zh, en })
  const got = useQuery({ queryKey: ['proposal', p.id], queryFn: () => ok(api.GET('/v1/messages/{id}/proposals/{p}', { params: { path: { id: p.message, p: p.id } } })) })
  if (got.isError) return <Failed error={got.error} again={() => void got.refetch()} />
  if (got.isPending) return <Skeleton active />
  return (
    <section aria-label={t('correction')}>
      <strong>{t('correction')}</strong>
      <pre className="wire mono" tabIndex={0}>
        {JSON.stringify(got.data.correction, null, 2)}
      </pre>
      {p.note}
    </section>
  )
}
