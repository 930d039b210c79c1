import { useQuery } from '@tanstack/react-query'
import { Card, Empty, Table } from 'antd'
import { Link } from 'react-router'
import { api, ok, type Schemas } from '../../api/client'
import type { Light } from '../../app/live'
import { useTexts } from '../../app/texts'
import { Failed } from '../../parts/Failed'
import { Ago } from '../../parts/Time'
import { useWords } from '../../parts/words'
import en from './en.json'
import zh from './zh.json'

type Message = Schemas['Message']

/** Waiting is what is in a hospital's queue, and why it is not sent yet. */
export function Waiting({ light: l }: { light: Light }) {
  const t = useTexts({ zh, en })
  const { word } = useWords()
  const list = useQuery({
    queryKey: ['waiting', l.id, l.queued, l.paused_at ?? '', l.breaker ?? ''],
    queryFn: async () => (await ok(api.GET('/v1/messages', { params: { query: { hospital: l.id, state: 'queued', limit: 20 } } }))).messages,
    placeholderData: (before) => before,
  })
  return (
    <Card
      size="small"
      style={{ marginTop: 16 }}
      title={<h2 style={{ fontSize: 16, margin: 0 }}>{t('waits')}</h2>}
      extra={<Link to={'/messages?' + new URLSearchParams({ hospital: l.id }).toString()}>{t('messages')}</Link>}
    >
      {list.isError ? (
        <Failed error={list.error} again={() => void list.refetch()} />
      ) : (
        <Table<Message>
          rowKey="id"
          size="small"
          loading={list.isPending}
          dataSource={list.data ?? []}
          pagination={false}
          scroll={{ x: 'max-content' }}
          locale={{ emptyText: <Empty image={Empty.PRESENTED_IMAGE_SIMPLE} description={t('waits.none')} /> }}
          columns={[
            { title: t('message'), render: (_, m) => <Link to={`/messages/${m.id}`}>{m.id}</Link> },
            { title: t('kind'), render: (_, m) => word('kind', m.kind) },
            { title: t('key'), render: (_, m) => <span className="mono">{m.key}</span> },
            { title: t('why'), render: (_, m) => <span style={{ display: 'inline-block', maxWidth: 420, whiteSpace: 'normal' }}>{m.waits?.text ?? m.reason}</span> },
            { title: t('accepted'), render: (_, m) => <Ago at={m.accepted_at} /> },
          ]}
        />
      )}
    </Card>
  )
}
