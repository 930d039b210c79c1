import { Empty, Select, Tabs } from 'antd'
import { useSearchParams } from 'react-router'
import { useRights } from '../../app/session'
import { Head } from '../../parts/Head'
import { useWords } from '../../parts/words'
import { Cases } from './Cases'
import { Nights } from './Nights'
import { useReckoning } from './words'

/** Reconciliation is what everybody's books came to, and what is to be mended. */
export default function Reconciliation() {
  const { t } = useReckoning()
  const { t: words } = useWords()
  const { where, may } = useRights()
  const [address, setAddress] = useSearchParams()
  const hospitals = where('hub:night')
  const hospital = address.get('hospital') ?? ''
  const show = address.get('show') ?? 'nights'
  const set = (name: string, value: string) => {
    const next = new URLSearchParams(address)
    if (value) next.set(name, value)
    else next.delete(name)
    setAddress(next)
  }
  const of = hospital || (hospitals[0]?.id ?? '')
  return (
    <>
      <Head title={t('menu')} about={t('about')}>
        <Select
          showSearch={{ optionFilterProp: 'label' }}
          aria-label={words('hospital')}
          value={show === 'nights' ? of || undefined : hospital || undefined}
          allowClear={show !== 'nights'}
          placeholder={words('hospital')}
          onChange={(v: string | undefined) => set('hospital', v ?? '')}
          options={hospitals.map((h) => ({ value: h.id, label: h.name || h.id }))}
          style={{ minWidth: 180 }}
        />
      </Head>
      <Tabs
        activeKey={show}
        onChange={(v) => set('show', v)}
        destroyOnHidden
        items={[
          { key: 'nights', label: t('tab.nights'), children: of ? <Nights hospital={of} /> : <Empty image={Empty.PRESENTED_IMAGE_SIMPLE} description={t('hospitals.none')} /> },
          ...(may('hub:cases') ? [{ key: 'cases', label: t('tab.cases'), children: <Cases hospital={hospital} /> }] : []),
        ]}
      />
    </>
  )
}
