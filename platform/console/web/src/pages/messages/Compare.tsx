import { Button, Modal, Select, Skeleton, Typography, theme } from 'antd'
import { useState } from 'react'
import { useTexts } from '../../app/texts'
import { Failed } from '../../parts/Failed'
import { useExchange } from './Exchange'
import { compared, type Compared } from './lines'
import en from './en.json'
import zh from './zh.json'

/** Compare sets two attempts side by side, with what differs marked. */
export function Compare({ id, numbers }: { id: number; numbers: number[] }) {
  const t = useTexts({ zh, en })
  const [open, setOpen] = useState(false)
  const [a, setA] = useState(numbers.at(-2) ?? 0)
  const [b, setB] = useState(numbers.at(-1) ?? 0)
  const choose = (value: number, set: (n: number) => void) => (
    <Select aria-label={t('attempt')} value={value} onChange={set} options={numbers.map((n) => ({ value: n, label: t('attempt.n', { n }) }))} style={{ minWidth: 110 }} />
  )
  return (
    <>
      <Button size="small" onClick={() => setOpen(true)}>
        {t('compare')}
      </Button>
      <Modal open={open} onCancel={() => setOpen(false)} footer={null} width="min(1200px, 96vw)" title={t('compare')} destroyOnHidden>
        <div className="row" style={{ marginBottom: 12 }}>
          {choose(a, setA)} {choose(b, setB)}
        </div>
        <Both id={id} a={a} b={b} />
      </Modal>
    </>
  )
}

function Both({ id, a, b }: { id: number; a: number; b: number }) {
  const t = useTexts({ zh, en })
  const x = useExchange(id, a)
  const y = useExchange(id, b)
  if (x.isError || y.isError) return <Failed error={x.error ?? y.error} />
  if (x.isPending || y.isPending) return <Skeleton active />
  const of = (which: 'request' | 'response') => compared(x.data[0]?.[which].text ?? '', y.data[0]?.[which].text ?? '')
  return (
    <>
      <Typography.Title level={3} style={{ fontSize: 15 }}>
        {t('request')}
      </Typography.Title>
      <Columns of={of('request')} />
      <Typography.Title level={3} style={{ fontSize: 15 }}>
        {t('response')}
      </Typography.Title>
      <Columns of={of('response')} />
    </>
  )
}

function Columns({ of }: { of: Compared }) {
  const t = useTexts({ zh, en })
  const { token } = theme.useToken()
  const side = (lines: Compared['left'], mark: string) => (
    <pre className="wire mono" tabIndex={0} style={{ background: token.colorFillTertiary }}>
      {lines.map((l, i) => (
        <div key={i} className={l.same ? undefined : mark}>
          {l.text || ' '}
        </div>
      ))}
    </pre>
  )
  return (
    <>
      {of.same && <Typography.Text type="secondary">{t('compare.same')}</Typography.Text>}
      <div className="sides">
        {side(of.left, 'diff-out')}
        {side(of.right, 'diff-in')}
      </div>
    </>
  )
}
