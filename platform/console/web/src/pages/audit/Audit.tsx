import { useInfiniteQuery } from '@tanstack/react-query'
import { Alert, Button, DatePicker, Empty, Form, Input, Select, Table, Typography } from 'antd'
import type { Dayjs } from 'dayjs'
import { useState } from 'react'
import { api, ok, type Schemas } from '../../api/client'
import { useRights } from '../../app/session'
import { useTexts } from '../../app/texts'
import { Export, type Field } from '../../parts/Export'
import { Failed } from '../../parts/Failed'
import { Head } from '../../parts/Head'
import { Time } from '../../parts/Time'
import { useWords } from '../../parts/words'
import en from './en.json'
import zh from './zh.json'

type Entry = Schemas['AuditEntry']

interface Wanted {
  hospital?: string
  actor?: string
  verb?: string
  subject?: string
  days?: [Dayjs | null, Dayjs | null] | null
}

/** Audit is what people did and looked at, newest first, from the chain. */
export default function Audit() {
  const t = useTexts({ zh, en })
  const { t: words } = useWords()
  const { where, nameOf } = useRights()
  const [wanted, setWanted] = useState<Wanted>({})
  const text = (v?: string) => (v ?? '').trim() || undefined
  const list = useInfiniteQuery({
    queryKey: ['audit', wanted],
    initialPageParam: 0,
    queryFn: ({ pageParam }) => {
      const since = wanted.days?.[0]?.startOf('day').toISOString()
      const until = wanted.days?.[1]?.add(1, 'day').startOf('day').toISOString()
      const [hospital, actor, verb, subject] = [wanted.hospital, text(wanted.actor), text(wanted.verb), text(wanted.subject)]
      const query = {
        limit: 100,
        ...(hospital ? { hospital } : {}),
        ...(actor ? { actor } : {}),
        ...(verb ? { verb } : {}),
        ...(subject ? { subject } : {}),
        ...(since ? { since } : {}),
        ...(until ? { until } : {}),
        ...(pageParam ? { before: pageParam } : {}),
      }
      return ok(api.GET('/v1/audit', { params: { query } }))
    },
    getNextPageParam: (last) => last.next || undefined,
  })
  const rows = (list.data?.pages ?? []).flatMap((p) => p.entries)
  const narrowed = Object.values(wanted).some((v) => v)
  const head = list.data?.pages[0]?.head
  const fields: Field<Entry>[] = [
    { title: t('number'), of: (e) => e.number },
    { title: t('at'), of: (e) => new Date(e.at) },
    { title: t('actor'), of: (e) => e.actor },
    { title: t('role'), of: (e) => e.role },
    { title: t('verb'), of: (e) => e.verb },
    { title: words('hospital'), of: (e) => e.hospital },
    { title: t('subject'), of: (e) => e.subject },
    { title: t('purpose'), of: (e) => e.purpose },
    { title: t('request'), of: (e) => e.request },
    { title: t('digest'), of: (e) => e.digest },
  ]
  return (
    <>
      <Head title={t('menu')} about={t('about')}>
        <Export name="audit" fields={fields} rows={rows} />
      </Head>
      {head && (
        <Alert
          type="info"
          showIcon
          style={{ marginBottom: 16 }}
          title={t('head', { n: head.number })}
          description={
            <>
              <span className="mono" style={{ overflowWrap: 'anywhere' }}>
                {head.digest}
              </span>
              <br />
              {t('head.check')} <span className="mono">{`hishub audit verify --head ${head.digest.slice(0, 8)}…`}</span>
            </>
          }
        />
      )}
      <Form layout="inline" onFinish={(v: Wanted) => setWanted(v)} style={{ marginBottom: 16, rowGap: 8 }}>
        <Form.Item name="hospital" label={words('hospital')}>
          <Select allowClear showSearch={{ optionFilterProp: 'label' }} options={where('hub:audit').map((h) => ({ value: h.id, label: h.name || h.id }))} style={{ minWidth: 160 }} />
        </Form.Item>
        <Form.Item name="actor" label={t('actor')} tooltip={t('actor.hint')}>
          <Input allowClear maxLength={100} />
        </Form.Item>
        <Form.Item name="verb" label={t('verb')}>
          <Input allowClear maxLength={40} placeholder={t('verb.hint')} />
        </Form.Item>
        <Form.Item name="subject" label={t('subject')}>
          <Input allowClear maxLength={100} placeholder={t('subject.hint')} />
        </Form.Item>
        <Form.Item name="days" label={t('days')}>
          <DatePicker.RangePicker allowEmpty={[true, true]} />
        </Form.Item>
        <Button type="primary" htmlType="submit">
          {t('find')}
        </Button>
      </Form>
      {list.isError ? (
        <Failed error={list.error} again={() => void list.refetch()} />
      ) : (
        <>
          <Table<Entry>
            rowKey="number"
            size="small"
            loading={list.isPending}
            dataSource={rows}
            pagination={false}
            scroll={{ x: 'max-content' }}
            locale={{ emptyText: <Empty image={Empty.PRESENTED_IMAGE_SIMPLE} description={narrowed ? t('none.such') : t('none')} /> }}
            expandable={{ expandedRowRender: (e) => <More entry={e} /> }}
            columns={[
              { title: t('number'), render: (_, e) => e.number },
              { title: t('at'), render: (_, e) => <Time at={e.at} /> },
              { title: t('actor'), render: (_, e) => e.actor },
              { title: t('verb'), render: (_, e) => <span className="mono">{e.verb}</span> },
              { title: words('hospital'), render: (_, e) => (e.hospital ? nameOf(e.hospital) : '–') },
              { title: t('subject'), render: (_, e) => e.subject },
              { title: t('purpose'), render: (_, e) => <span style={{ display: 'inline-block', maxWidth: 360, whiteSpace: 'normal' }}>{e.purpose}</span> },
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

/** More is the rest of an entry. */
function More({ entry: e }: { entry: Entry }) {
  const t = useTexts({ zh, en })
  return (
    <div style={{ maxWidth: 760, whiteSpace: 'normal' }}>
      <dl className="facts">
        <dt>{t('role')}</dt>
        <dd>{e.role || '–'}</dd>
        <dt>{t('request')}</dt>
        <dd className="mono">{e.request || '–'}</dd>
        <dt>{t('digest')}</dt>
        <dd className="mono">{e.digest}</dd>
      </dl>
      {e.data !== undefined && e.data !== null && (
        <pre className="wire mono" tabIndex={0}>
          {JSON.stringify(e.data, null, 2)}
        </pre>
      )}
    </div>
  )
}
