import { App, Form, Input, Modal } from 'antd'
import { useState, type ReactNode } from 'react'
import { api, ok } from '../../api/client'
import { useTexts } from '../../app/texts'
import { sayProblem } from '../../parts/Failed'
import shared_en from '../../words/en.json'
import shared_zh from '../../words/zh.json'
import en from './en.json'
import zh from './zh.json'

/**
 * Prove asks for the fields that are inside, and for a code of the second factor where the
 * last one is older than the API bears, and then does it; what it throws is shown, and it stays open.
 */
export function Prove<V extends object>({ open, title, close, run, children }: { open: boolean; title: string; close: () => void; run: (v: V) => Promise<unknown>; children?: ReactNode }) {
  const t = useTexts({ zh, en })
  const words = useTexts({ zh: shared_zh, en: shared_en })
  const { message } = App.useApp()
  const [form] = Form.useForm<V & { proof?: string }>()
  const [busy, setBusy] = useState(false)
  const [wrong, setWrong] = useState('')
  const finish = async (v: V & { proof?: string }) => {
    setBusy(true)
    setWrong('')
    try {
      const code = (v.proof ?? '').trim()
      if (code) await ok(api.POST('/clinic/v1/session/step-up', { body: { code } }))
      await run(v)
      void message.success(words('done'))
      close()
    } catch (e) {
      const { title: what, more } = sayProblem(e, words)
      setWrong(more ? `${what}: ${more}` : what)
    } finally {
      setBusy(false)
    }
  }
  return (
    <Modal open={open} title={title} okText={t('go')} cancelText={words('cancel')} okButtonProps={{ loading: busy }} onOk={() => form.submit()} onCancel={close} afterClose={() => setWrong('')} destroyOnHidden>
      <Form form={form} layout="vertical" onFinish={(v) => void finish(v)} preserve={false}>
        {children}
        <Form.Item name="proof" label={t('proof')} extra={t('proof.about')}>
          <Input autoComplete="one-time-code" inputMode="numeric" maxLength={20} />
        </Form.Item>
      </Form>
      {wrong && (
        <div role="alert" style={{ color: 'var(--ant-color-error, #c8362c)' }}>
          {wrong}
        </div>
      )}
    </Modal>
  )
}
