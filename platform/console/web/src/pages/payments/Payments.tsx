import { Select, Tabs } from 'antd'
import { useSearchParams } from 'react-router'
import { useRights } from '../../app/session'
import { Head } from '../../parts/Head'
import { useWords } from '../../parts/words'
import { Attempts } from './Attempts'
import { Balance } from './Balance'
import { Journal } from './Journal'
import { Refunds } from './Refunds'
import { Undecided } from './Undecided'
import { useMoney } from './words'

/** Payments are the clinic's money: what waits for a person, what came and went, and the books. */
export default function Payments() {
  const { t } = useMoney()
  const { t: words } = useWords()
  const { me, may } = useRights()
  const [address, setAddress] = useSearchParams()
  const hospitals = (me?.hospitals ?? []).filter((h) => may('clinic:refund', h.id) || may('clinic:books', h.id))
  const hospital = address.get('hospital') ?? hospitals[0]?.id ?? ''
  const decides = may('clinic:refund', hospital)
  const books = may('clinic:books', hospital)
  const tabs = [
    ...(decides
      ? [
          { key: 'undecided', label: t('tab.undecided'), children: <Undecided hospital={hospital} /> },
          { key: 'payments', label: t('tab.payments'), children: <Attempts hospital={hospital} /> },
          { key: 'refunds', label: t('tab.refunds'), children: <Refunds hospital={hospital} /> },
        ]
      : []),
    ...(books
      ? [
          { key: 'journal', label: t('tab.journal'), children: <Journal hospital={hospital} /> },
          { key: 'balance', label: t('tab.balance'), children: <Balance hospital={hospital} /> },
        ]
      : []),
  ]
  return (
    <>
      <Head title={t('menu')} about={t('about')}>
        <Select
          showSearch={{ optionFilterProp: 'label' }}
          aria-label={words('hospital')}
          value={hospital || undefined}
          onChange={(v: string) => setAddress({ hospital: v, show: address.get('show') ?? '' })}
          options={hospitals.map((h) => ({ value: h.id, label: h.name || h.id }))}
          style={{ minWidth: 180 }}
        />
      </Head>
      <Tabs activeKey={tabs.some((x) => x.key === address.get('show')) ? (address.get('show') ?? '') : (tabs[0]?.key ?? '')} onChange={(v) => setAddress({ hospital, show: v })} destroyOnHidden items={tabs} />
    </>
  )
}
