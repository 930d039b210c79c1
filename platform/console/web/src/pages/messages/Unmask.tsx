import { EyeOutlined } from '@ant-design/icons'
import { Button, Drawer } from 'antd'
import { useState } from 'react'
import { api, ok, type Schemas } from '../../api/client'
import { useTexts } from '../../app/texts'
import { useAsk } from '../../parts/Ask'
import { Sides, Text } from './Exchange'
import en from './en.json'
import zh from './zh.json'

/** Unmask shows the patient for a purpose, which is in the audit before anything is seen. */
export function Unmask({ id }: { id: number }) {
  const t = useTexts({ zh, en })
  const { ask, asking } = useAsk()
  const [seen, setSeen] = useState<Schemas['Unmasked'] | null>(null)
  return (
    <>
      <Button
        icon={<EyeOutlined />}
        onClick={() =>
          ask({
            title: t('unmask.title'),
            about: t('unmask.about'),
            act: t('unmask'),
            note: true,
            run: async (purpose) => setSeen(await ok(api.POST('/v1/messages/{id}/unmask', { params: { path: { id } }, body: { purpose: purpose.slice(0, 200) } }))),
          })
        }
      >
        {t('unmask')}
      </Button>
      {asking}
      <Drawer open={seen !== null} onClose={() => setSeen(null)} title={t('unmask')} size="min(900px, 96vw)" destroyOnHidden>
        {seen?.body !== undefined && <Text title={t('canonical')} text={JSON.stringify(seen.body, null, 2)} />}
        {seen?.exchanges.map((x) => (
          <Sides key={x.at} of={x} />
        ))}
      </Drawer>
    </>
  )
}
