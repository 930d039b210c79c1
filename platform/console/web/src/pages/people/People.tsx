import { useQuery, useQueryClient } from '@tanstack/react-query'
import { Button, Empty, Select, Table, Tag } from 'antd'
import { useState } from 'react'
import { useSearchParams } from 'react-router'
import { api, ok, type Schemas } from '../../api/client'
import { useRights } from '../../app/session'
import { useTexts } from '../../app/texts'
import { useAsk } from '../../parts/Ask'
import { Export, type Field } from '../../parts/Export'
import { Failed } from '../../parts/Failed'
import { Head } from '../../parts/Head'
import { Ago } from '../../parts/Time'
import { useWords } from '../../parts/words'
import { Invite } from './Invite'
import { Prove } from './Prove'
import en from './en.json'
import zh from './zh.json'

type Granted = Schemas['ClinicIdentityGranted']

/** People are the staff of a hospital by their roles, and roles that wait for a second person. */
export default function People() {
  const t = useTexts({ zh, en })
  const { t: words } = useWords()
  const { me, where } = useRights()
  const queries = useQueryClient()
  const { ask, asking } = useAsk()
  const [approves, approve] = useState<Granted | null>(null)
  const [address, setAddress] = useSearchParams()
  const hospitals = where('clinic:staffing')
  const hospital = address.get('hospital') ?? hospitals[0]?.id ?? ''
  const list = useQuery({
    queryKey: ['staff', hospital],
    enabled: hospital !== '',
    queryFn: async () => (await ok(api.GET('/clinic/v1/hospitals/{hospital}/staff', { params: { path: { hospital } } }))).grants,
  })
  const changed = () => queries.invalidateQueries({ queryKey: ['staff'] })
  const revoke = (g: Granted) =>
    ask({
      title: t('revoke.title', { role: role(g.role), who: g.title ?? String(g.account) }),
      about: t('revoke.about'),
      act: t('revoke'),
      danger: true,
      note: true,
      run: async (note) => {
        await ok(api.POST('/clinic/v1/hospitals/{hospital}/grants/{grant}/revoke', { params: { path: { hospital, grant: g.grant } }, body: { note } }))
        await changed()
      },
    })
  const role = (r: string) => t(`role.${r}` as 'role.ops')
  const state = (s: string) => t(`state.${s}` as 'state.active')
  const fields: Field<Granted>[] = [
    { title: t('account'), of: (g) => g.account },
    { title: t('name'), of: (g) => g.title },
    { title: t('role'), of: (g) => role(g.role) },
    { title: t('code'), of: (g) => g.code },
    { title: t('state'), of: (g) => state(g.state) },
    { title: t('since'), of: (g) => new Date(g.created_at) },
    { title: t('note'), of: (g) => g.note },
  ]
  const rows = list.data ?? []
  return (
    <>
      <Head title={t('menu')} about={t('about')}>
        {hospital !== '' && <Invite hospital={hospital} done={changed} />}
        <Export name={`people-${hospital}`} fields={fields} rows={rows} />
      </Head>
      {hospitals.length > 1 && (
        <Select
          showSearch={{ optionFilterProp: 'label' }}
          aria-label={words('hospital')}
          value={hospital}
          onChange={(v: string) => setAddress({ hospital: v })}
          options={hospitals.map((h) => ({ value: h.id, label: h.name || h.id }))}
          style={{ minWidth: 180, marginBottom: 12 }}
        />
      )}
      {hospital === '' ? (
        <Empty image={Empty.PRESENTED_IMAGE_SIMPLE} description={t('nowhere')} />
      ) : list.isError ? (
        <Failed error={list.error} again={() => void list.refetch()} />
      ) : (
        <Table<Granted>
          rowKey="grant"
          size="small"
          loading={list.isPending}
          dataSource={rows}
          pagination={{ pageSize: 50, hideOnSinglePage: true, showSizeChanger: false }}
          scroll={{ x: 'max-content' }}
          locale={{ emptyText: <Empty image={Empty.PRESENTED_IMAGE_SIMPLE} description={t('none')} /> }}
          columns={[
            { title: t('account'), render: (_, g) => g.account },
            { title: t('name'), render: (_, g) => g.title },
            { title: t('role'), render: (_, g) => role(g.role) },
            { title: t('code'), render: (_, g) => <span className="mono">{g.code}</span> },
            { title: t('state'), render: (_, g) => <Tag variant="outlined">{state(g.state)}</Tag> },
            { title: t('since'), render: (_, g) => <Ago at={g.created_at} /> },
            { title: t('note'), render: (_, g) => <span style={{ display: 'inline-block', maxWidth: 320, whiteSpace: 'normal' }}>{g.note}</span> },
            {
              title: t('do'),
              render: (_, g) => (
                <span className="row">
                  {g.state === 'proposed' && g.proposed_by !== me?.account && (
                    <Button size="small" type="primary" onClick={() => approve(g)}>
                      {t('approve')}
                    </Button>
                  )}
                  {(g.state === 'proposed' || g.state === 'active') && (
                    <Button size="small" danger onClick={() => revoke(g)}>
                      {g.state === 'proposed' ? t('take.back') : t('revoke')}
                    </Button>
                  )}
                </span>
              ),
            },
          ]}
        />
      )}
      <Prove
        open={approves !== null}
        title={t('approve.title', { role: approves ? role(approves.role) : '', who: approves?.title ?? '' })}
        close={() => approve(null)}
        run={async () => {
          if (approves) await ok(api.POST('/clinic/v1/hospitals/{hospital}/grants/{grant}/approve', { params: { path: { hospital, grant: approves.grant } } }))
          await changed()
        }}
      />
      {asking}
    </>
  )
}
