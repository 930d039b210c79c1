import { useQueryClient } from '@tanstack/react-query'
import { App, Form, InputNumber, Modal } from 'antd'
import { useState } from 'react'
import { api, ok } from '../../api/client'
import { useTexts } from '../../app/texts'
import { Failed } from '../../parts/Failed'
import type { Session } from './Schedules'
import en from './en.json'
import zh from './zh.json'

/** Places adds places to a session. */
export function Places({ session: v, name, close }: { session: Session; name: string; close: () => void }) {
  const t = useTexts({ zh, en })
  const { message } = App.useApp()
  const queries = useQueryClient()
  const [form] = Form.useForm<{ places: number }>()
  const [busy, setBusy] = useState(false)
  const [wrong, setWrong] = useState<unknown>(null)
  const add = async (places: number) => {
    setBusy(true)
    setWrong(null)
    try {
      await ok(api.POST('/clinic/v1/hospitals/{hospital}/sessions/{no}/places', { params: { path: { hospital: v.hospital, no: v.no } }, body: { places } }))
      void message.success(t('add.done', { n: places }))
      close()
    } catch (e) {
      setWrong(e)
    } finally {
      setBusy(false)
      await queries.invalidateQueries({ queryKey: ['sessions'] })
    }
  }
  return (
    <Modal open title={t('add.title', { which: name })} onCancel={close} onOk={() => form.submit()} okText={t('add')} cancelText={t('cancel')} okButtonProps={{ loading: busy }}>
      <p>{t('add.about', { n: v.capacity })}</p>
      <Form form={form} layout="vertical" initialValues={{ places: 5 }} onFinish={(said) => void add(said.places)}>
        <Form.Item name="places" label={t('add.places')} rules={[{ required: true, message: t('add.need') }]}>
          <InputNumber min={1} max={100} precision={0} />
        </Form.Item>
      </Form>
      {wrong !== null && <Failed error={wrong} />}
    </Modal>
  )
}
