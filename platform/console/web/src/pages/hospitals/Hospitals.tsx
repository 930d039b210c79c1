import { Empty, Input, Skeleton, Table } from 'antd'
import { useState } from 'react'
import { Link } from 'react-router'
import { useLive, type Light } from '../../app/live'
import { useTexts } from '../../app/texts'
import { Export, type Field } from '../../parts/Export'
import { Head } from '../../parts/Head'
import { Ago } from '../../parts/Time'
import { Lamp, useWords } from '../../parts/words'
import en from './en.json'
import zh from './zh.json'

/** Hospitals are all that the person looks after, by name. */
export default function Hospitals() {
  const t = useTexts({ zh, en })
  const { word } = useWords()
  const live = useLive()
  const [name, setName] = useState('')
  const rows = live.lights.filter((l) => (l.id + ' ' + l.name).toLowerCase().includes(name.trim().toLowerCase())).sort((a, b) => a.id.localeCompare(b.id))
  const fields: Field<Light>[] = [
    { title: t('id'), of: (l) => l.id },
    { title: t('name'), of: (l) => l.name },
    { title: t('light'), of: (l) => word('light', l.light) },
    { title: t('revision'), of: (l) => l.revision },
    { title: t('waiting'), of: (l) => l.queued + l.sending },
    { title: t('parked'), of: (l) => l.parked },
    { title: t('contact'), of: (l) => (l.last_success ? new Date(l.last_success) : null) },
  ]
  return (
    <>
      <Head title={t('menu')} about={t('about')}>
        <Export name="hospitals" fields={fields} rows={rows} />
      </Head>
      <Input value={name} onChange={(e) => setName(e.target.value)} placeholder={t('filter')} aria-label={t('filter')} allowClear style={{ maxWidth: 280, marginBottom: 12 }} />
      {live.at === undefined && !live.resting ? (
        <Skeleton active />
      ) : (
        <Table<Light>
          rowKey="id"
          size="small"
          dataSource={rows}
          pagination={{ pageSize: 50, hideOnSinglePage: true, showSizeChanger: false }}
          scroll={{ x: 'max-content' }}
          locale={{ emptyText: <Empty image={Empty.PRESENTED_IMAGE_SIMPLE} description={name ? t('none.such') : t('none')} /> }}
          columns={[
            { title: t('name'), render: (_, l) => <Link to={`/hospitals/${l.id}`}>{l.name || l.id}</Link> },
            { title: t('id'), render: (_, l) => <span className="mono">{l.id}</span> },
            { title: t('light'), render: (_, l) => <Lamp light={l.light} /> },
            { title: t('revision'), render: (_, l) => l.revision },
            { title: t('waiting'), render: (_, l) => l.queued + l.sending },
            { title: t('parked'), render: (_, l) => (l.parked > 0 ? <Link to={'/parked?' + new URLSearchParams({ hospital: l.id }).toString()}>{l.parked}</Link> : 0) },
            { title: t('contact'), render: (_, l) => <Ago at={l.last_success} /> },
          ]}
        />
      )}
    </>
  )
}
