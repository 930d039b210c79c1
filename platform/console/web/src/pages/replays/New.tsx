import { useMutation } from '@tanstack/react-query'
import { Alert, Button, Card, DatePicker, Form, Input, InputNumber, Select, Table } from 'antd'
import type { Dayjs } from 'dayjs'
import { useNavigate, useSearchParams } from 'react-router'
import { api, ok, type Schemas } from '../../api/client'
import { useRights } from '../../app/session'
import { useTexts } from '../../app/texts'
import { useAsk } from '../../parts/Ask'
import { Failed } from '../../parts/Failed'
import { Head } from '../../parts/Head'
import { Ago } from '../../parts/Time'
import { Class, useWords } from '../../parts/words'
import en from './en.json'
import zh from './zh.json'

type Filter = Schemas['ReplayFilter']
type Preview = Schemas['ReplayPreview']
type Group = Schemas['ReplayGroup']

interface Wanted {
  hospital: string
  state: Filter['state']
  class?: NonNullable<Filter['class']>
  kind?: string
  reason?: string
  keys?: string
  days?: [Dayjs | null, Dayjs | null] | null
  rate: number
  stop: number
}

const states = ['parked', 'cancelled', 'delivered'] as const
const classes = ['in_doubt', 'rejected', 'invalid', 'unavailable'] as const

function filterOf(v: Wanted): Filter {
  const since = v.days?.[0]?.startOf('day').toISOString()
  const until = v.days?.[1]?.add(1, 'day').startOf('day').toISOString()
  const keys = (v.keys ?? '').split(/[\s,]+/).filter((k) => k !== '')
  const [kind, reason] = [(v.kind ?? '').trim(), (v.reason ?? '').trim()]
  return {
    hospitals: [v.hospital],
    state: v.state,
    ...(v.class ? { class: v.class } : {}),
    ...(kind ? { kind } : {}),
    ...(reason ? { reason } : {}),
    ...(keys.length > 0 ? { keys } : {}),
    ...(since ? { since } : {}),
    ...(until ? { until } : {}),
  }
}

/** New makes a replay: nothing is made that was not looked at. Other pages may lead here with state, class, hospital and kind in the address. */
export default function New() {
  const t = useTexts({ zh, en })
  const { word, t: words } = useWords()
  const { where } = useRights()
  const navigate = useNavigate()
  const [address] = useSearchParams()
  const { ask, asking } = useAsk()
  const preview = useMutation({
    mutationFn: async (v: Wanted) => ({ wanted: v, shown: await ok(api.POST('/v1/replays:preview', { body: { filter: filterOf(v), compare: 200 } })) }),
  })
  const make = (wanted: Wanted, p: Preview) =>
    ask({
      title: t('make.title', { n: p.may }),
      about: p.money ? t('make.money') : t('make.about'),
      act: t('make'),
      note: true,
      run: async (note) => {
        const made = await ok(api.POST('/v1/replays', { body: { filter: filterOf(wanted), rate: wanted.rate, concurrency: 50, stop_after: wanted.stop, expect: p.count, note } }))
        void navigate(`/replays/${made.id}`)
      },
    })
  const hospitals = where('hub:decide')
  return (
    <>
      <Head title={t('new')} about={t('new.about')} />
      <Card size="small">
        <Form<Wanted>
          layout="vertical"
          initialValues={{
            rate: 5,
            stop: 10,
            state: states.find((s) => s === address.get('state')) ?? 'parked',
            class: classes.find((c) => c === address.get('class')),
            hospital: address.get('hospital') ?? (hospitals.length === 1 ? hospitals[0]?.id : undefined),
            kind: address.get('kind') ?? undefined,
          }}
          onFinish={(v) => preview.mutate(v)}
          onValuesChange={() => preview.reset()}
        >
          <div className="cards">
            <Form.Item name="hospital" label={words('hospital')} rules={[{ required: true, message: t('hospital.need') }]}>
              <Select showSearch={{ optionFilterProp: 'label' }} options={hospitals.map((h) => ({ value: h.id, label: h.name || h.id }))} />
            </Form.Item>
            <Form.Item name="state" label={t('which')} extra={t('which.about')}>
              <Select options={states.map((s) => ({ value: s, label: word('state', s) }))} />
            </Form.Item>
            <Form.Item name="class" label={words('class')}>
              <Select allowClear options={classes.map((c) => ({ value: c, label: word('class', c) }))} />
            </Form.Item>
            <Form.Item name="kind" label={words('kind')}>
              <Input allowClear maxLength={64} placeholder={t('kind.hint')} />
            </Form.Item>
            <Form.Item name="reason" label={t('reason')}>
              <Input allowClear maxLength={200} />
            </Form.Item>
            <Form.Item name="keys" label={t('keys')}>
              <Input.TextArea rows={1} allowClear />
            </Form.Item>
            <Form.Item name="days" label={t('days')}>
              <DatePicker.RangePicker allowEmpty={[true, true]} />
            </Form.Item>
            <Form.Item name="rate" label={t('rate.max')} rules={[{ required: true, message: t('number.need') }]}>
              <InputNumber min={0.01} max={1000} />
            </Form.Item>
            <Form.Item name="stop" label={t('stop')} rules={[{ required: true, message: t('number.need') }]}>
              <InputNumber min={1} max={100000} precision={0} />
            </Form.Item>
          </div>
          <Button type="primary" htmlType="submit" loading={preview.isPending}>
            {t('look')}
          </Button>
        </Form>
      </Card>
      {preview.isError && <Failed error={preview.error} />}
      {preview.data && <Shown preview={preview.data.shown} make={() => make(preview.data.wanted, preview.data.shown)} />}
      {asking}
    </>
  )
}

/** Shown is what would be told; nothing was. */
function Shown({ preview: p, make }: { preview: Preview; make: () => void }) {
  const t = useTexts({ zh, en })
  const { word } = useWords()
  const differ = p.differs.reduce((n, d) => n + d.messages_differ, 0)
  return (
    <Card
      size="small"
      style={{ marginTop: 16 }}
      title={<h2 style={{ fontSize: 16, margin: 0 }}>{t('preview', { n: p.count, may: p.may })}</h2>}
      extra={
        p.may > 0 && (
          <Button type="primary" onClick={make}>
            {t('make')}
          </Button>
        )
      }
    >
      {p.money && <Alert type="warning" showIcon title={t('preview.money')} style={{ marginBottom: 12 }} />}
      {p.behind > 0 && <p>{t('preview.behind', { n: p.behind })}</p>}
      {p.later > 0 && <p>{t('preview.later', { n: p.later })}</p>}
      {differ > 0 && <p>{t('preview.differ', { n: differ })}</p>}
      <Table<Group>
        rowKey={(g) => g.kind + (g.class ?? '') + (g.refusal ?? '')}
        size="small"
        dataSource={p.groups}
        pagination={false}
        scroll={{ x: 'max-content' }}
        locale={{ emptyText: t('preview.none') }}
        columns={[
          { title: t('kind'), render: (_, g) => word('kind', g.kind) },
          { title: t('class'), render: (_, g) => <Class {...(g.class ? { of: g.class } : {})} /> },
          { title: t('items'), render: (_, g) => g.count },
          { title: t('oldest'), render: (_, g) => <Ago at={g.oldest} /> },
          { title: t('refusal'), render: (_, g) => <span style={{ display: 'inline-block', maxWidth: 420, whiteSpace: 'normal' }}>{g.refusal ?? t('refusal.none')}</span> },
        ]}
      />
    </Card>
  )
}
