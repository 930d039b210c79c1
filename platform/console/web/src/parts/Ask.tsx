import { App, Form, Input, Modal } from 'antd'
import { useState, type ReactNode } from 'react'
import { useTexts } from '../app/texts'
import en from '../words/en.json'
import zh from '../words/zh.json'
import { sayProblem } from './Failed'

export interface Question {
  title: string
  /** What will follow, in plain words. */
  about?: ReactNode
  /** On the button. */
  act: string
  danger?: boolean
  /** A reason must be given, which goes into the audit. */
  note: boolean
  /** Does it; what it throws is shown, and the question stays. */
  run: (note: string) => Promise<unknown>
}

/** useAsk asks before something is done, and for the reason; show what it returns as ask. */
export function useAsk(): { ask: (q: Question) => void; asking: ReactNode } {
  const t = useTexts({ zh, en })
  const { message } = App.useApp()
  const [question, ask] = useState<Question | null>(null)
  const [open, setOpen] = useState(false)
  const [busy, setBusy] = useState(false)
  const [wrong, setWrong] = useState<string | null>(null)
  const [form] = Form.useForm<{ note?: string }>()
  const run = async (note: string) => {
    if (!question) return
    setBusy(true)
    setWrong(null)
    try {
      await question.run(note)
      setOpen(false)
      void message.success(t('done'))
    } catch (e) {
      const { title, more } = sayProblem(e, t)
      setWrong(more ? `${title}: ${more}` : title)
    } finally {
      setBusy(false)
    }
  }
  return {
    ask: (q) => {
      form.resetFields()
      setWrong(null)
      ask(q)
      setOpen(true)
    },
    asking: (
      <Modal
        open={open}
        title={question?.title}
        okText={question?.act}
        cancelText={t('cancel')}
        okButtonProps={{ danger: question?.danger ?? false, loading: busy }}
        onOk={() => form.submit()}
        onCancel={() => setOpen(false)}
        forceRender
      >
        {question?.about && <div style={{ marginBottom: 12 }}>{question.about}</div>}
        <Form form={form} layout="vertical" onFinish={(v) => void run((v.note ?? '').trim())}>
          {question?.note && (
            <Form.Item name="note" label={t('note')} rules={[{ required: true, whitespace: true, message: t('note.need') }]}>
              <Input.TextArea rows={2} maxLength={500} />
            </Form.Item>
          )}
        </Form>
        {wrong && <div role="alert" style={{ color: 'var(--ant-color-error, #c8362c)' }}>{wrong}</div>}
      </Modal>
    ),
  }
}
