import { useQuery } from '@tanstack/react-query'
import { Alert, Card, DatePicker, Empty, Table } from 'antd'
import dayjs from 'dayjs'
import { useState } from 'react'
import { api, ok, type Schemas } from '../../api/client'
import { Export, type Field } from '../../parts/Export'
import { Failed } from '../../parts/Failed'
import { Yuan } from '../../parts/Yuan'
import { useMoney } from './words'

type Of = Schemas['ClinicPayBalance']
type OfDay = Schemas['ClinicPayDayBalance']

/** Balance is what every account comes to now, and what it moved on each day. */
export function Balance({ hospital }: { hospital: string }) {
  const { t, account } = useMoney()
  const [span, setSpan] = useState<[string, string]>([dayjs().subtract(29, 'day').format('YYYY-MM-DD'), dayjs().format('YYYY-MM-DD')])
  const now = useQuery({
    queryKey: ['balance', hospital],
    queryFn: async () => (await ok(api.GET('/clinic/v1/hospitals/{hospital}/trial-balance', { params: { path: { hospital } } }))) ?? [],
  })
  const days = useQuery({
    queryKey: ['balance', hospital, span],
    queryFn: async () => (await ok(api.GET('/clinic/v1/hospitals/{hospital}/trial-balance/days', { params: { path: { hospital }, query: { from: span[0], to: span[1] } } }))) ?? [],
  })
  const sum = (all: { debit: number; credit: number }[]) => all.reduce((s, b) => ({ debit: s.debit + b.debit, credit: s.credit + b.credit }), { debit: 0, credit: 0 })
  const whole = sum(now.data ?? [])
  const columns = [
    { title: t('account'), render: (_: unknown, b: Of) => account(b.account) },
    { title: t('debit'), align: 'end' as const, render: (_: unknown, b: Of) => <Yuan fen={b.debit} /> },
    { title: t('credit'), align: 'end' as const, render: (_: unknown, b: Of) => <Yuan fen={b.credit} /> },
    { title: t('balance'), align: 'end' as const, render: (_: unknown, b: Of) => <Yuan fen={b.balance} /> },
  ]
  const money = (of: (b: OfDay) => number) => (b: OfDay) => of(b) / 100
  const fields: Field<OfDay>[] = [
    { title: t('day'), of: (b) => b.day },
    { title: t('account'), of: (b) => b.account },
    { title: t('debit'), of: money((b) => b.debit) },
    { title: t('credit'), of: money((b) => b.credit) },
    { title: t('balance'), of: money((b) => b.balance) },
  ]
  const none = <Empty image={Empty.PRESENTED_IMAGE_SIMPLE} description={t('journal.none')} />
  return (
    <>
      <Card size="small" title={t('balance.now')} style={{ marginBottom: 16 }}>
        {now.isError ? (
          <Failed error={now.error} again={() => void now.refetch()} />
        ) : (
          <>
            {now.data && now.data.length > 0 && (
              <Alert type={whole.debit === whole.credit ? 'success' : 'error'} showIcon title={t(whole.debit === whole.credit ? 'balanced' : 'unbalanced')} style={{ marginBottom: 12 }} />
            )}
            <Table<Of>
              rowKey="account"
              size="small"
              loading={now.isPending}
              dataSource={now.data ?? []}
              pagination={false}
              scroll={{ x: 'max-content' }}
              locale={{ emptyText: none }}
              columns={columns}
              summary={() => (
                <Table.Summary.Row>
                  <Table.Summary.Cell index={0}>{t('sum')}</Table.Summary.Cell>
                  <Table.Summary.Cell index={1} align="right"><Yuan fen={whole.debit} /></Table.Summary.Cell>
                  <Table.Summary.Cell index={2} align="right"><Yuan fen={whole.credit} /></Table.Summary.Cell>
                  <Table.Summary.Cell index={3} align="right"><Yuan fen={whole.debit - whole.credit} /></Table.Summary.Cell>
                </Table.Summary.Row>
              )}
            />
          </>
        )}
      </Card>
      <Card
        size="small"
        title={t('balance.days')}
        extra={<Export name={`balance-${hospital}`} fields={fields} rows={days.data ?? []} />}
      >
        <DatePicker.RangePicker
          aria-label={t('day')}
          allowClear={false}
          value={[dayjs(span[0]), dayjs(span[1])]}
          onChange={(d) => d?.[0] && d[1] && setSpan([d[0].format('YYYY-MM-DD'), d[1].format('YYYY-MM-DD')])}
          style={{ marginBottom: 12 }}
        />
        {days.isError ? (
          <Failed error={days.error} again={() => void days.refetch()} />
        ) : (
          <Table<OfDay>
            rowKey={(b) => b.day + b.account}
            size="small"
            loading={days.isPending}
            dataSource={[...(days.data ?? [])].reverse()}
            pagination={{ pageSize: 50, hideOnSinglePage: true, showSizeChanger: false }}
            scroll={{ x: 'max-content' }}
            locale={{ emptyText: none }}
            columns={[{ title: t('day'), dataIndex: 'day' }, ...columns]}
          />
        )}
      </Card>
    </>
  )
}
