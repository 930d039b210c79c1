import { useQuery, useQueryClient } from '@tanstack/react-query'
import { Alert, App, Form, Input, Modal, Select, Skeleton } from 'antd'
import { useState } from 'react'
import { api, ok, type Schemas } from '../../api/client'
import { localeOf, useLanguage, useTexts } from '../../app/texts'
import { Failed } from '../../parts/Failed'
import { Yuan, yuan } from '../../parts/Yuan'
import type { Session } from './Schedules'
import en from './en.json'
import zh from './zh.json'

/**
 * Stop shows whom it would hit and what goes back before a session is stopped, or given to
 * another doctor; afterwards, how many are still to be told.
 */
export function Stop({ session: v, name, doctors, close }: { session: Session; name: string; doctors: Schemas['ClinicDirectoryDoctor'][]; close: () => void }) {
  const t = useTexts({ zh, en })
  const { language } = useLanguage()
  const { message } = App.useApp()
  const queries = useQueryClient()
  const [form] = Form.useForm<{ reason: string; substitute?: string }>()
  const substitute = Form.useWatch('substitute', form)
  const [busy, setBusy] = useState(false)
  const [wrong, setWrong] = useState<unknown>(null)
  const path = { hospital: v.hospital, no: v.no }
  const effect = useQuery({
    queryKey: ['stop', v.hospital, v.no],
    staleTime: 0,
    queryFn: () => ok(api.GET('/clinic/v1/hospitals/{hospital}/sessions/{no}/stop', { params: { path } })),
    refetchInterval: (q) => ((q.state.data?.left ?? 0) > 0 ? 2000 : false),
  })
  const stop = async (said: { reason: string; substitute?: string }) => {
    setBusy(true)
    setWrong(null)
    try {
      await ok(api.POST('/clinic/v1/hospitals/{hospital}/sessions/{no}/stop', { params: { path }, body: { reason: said.reason.trim(), ...(said.substitute ? { substitute: said.substitute } : {}) } }))
      void message.success(t(said.substitute ? 'stop.replaced' : 'stop.done'))
      close()
    } catch (e) {
      setWrong(e)
    } finally {
      setBusy(false)
      await Promise.all(['sessions', 'stop'].map((k) => queries.invalidateQueries({ queryKey: [k] })))
    }
  }
  const e = effect.data
  const stopped = v.stopped || e?.session.stopped === true
  return (
    <Modal
      open
      title={t(stopped ? 'stop.was' : 'stop.title', { which: name })}
      onCancel={close}
      onOk={() => (stopped ? close() : form.submit())}
      okText={stopped ? t('close') : substitute ? t('stop.replace') : t('stop')}
      cancelText={t('cancel')}
      okButtonProps={{ danger: !stopped && !substitute, loading: busy, disabled: !e }}
    >
      {effect.isError && <Failed error={effect.error} again={() => void effect.refetch()} />}
      {effect.isPending && <Skeleton active />}
      {e && (
        <>
          <dl className="facts" style={{ marginBottom: 12 }} aria-label={t('effect')}>
            <dt>{t('effect.booked')}</dt>
            <dd>{e.booked}</dd>
            <dt>{t('effect.held')}</dt>
            <dd>{e.held}</dd>
            <dt>{t('effect.waiting')}</dt>
            <dd>{e.waiting}</dd>
            <dt>{t('effect.money')}</dt>
            <dd>
              <Yuan fen={e.money} />
            </dd>
            {e.left > 0 && (
              <>
                <dt>{t('effect.left')}</dt>
                <dd>{e.left}</dd>
              </>
            )}
          </dl>
          {!stopped && (
            <>
              <Alert
                type={substitute ? 'info' : 'warning'}
                showIcon
                title={substitute ? t('about.replace', { n: e.booked + e.held }) : t('about.stop', { n: e.booked + e.held, yuan: yuan(e.money, localeOf(language)) })}
                style={{ marginBottom: 12 }}
              />
              <Form form={form} layout="vertical" onFinish={(said) => void stop(said)}>
                <Form.Item name="reason" label={t('reason')} extra={t('reason.read')} rules={[{ required: true, whitespace: true, message: t('reason.need') }]}>
                  <Input.TextArea rows={2} maxLength={200} />
                </Form.Item>
                <Form.Item name="substitute" label={t('substitute')}>
                  <Select
                    allowClear
                    showSearch={{ optionFilterProp: 'label' }}
                    placeholder={t('substitute.none')}
                    options={doctors.filter((d) => d.code !== v.doctor && !d.closed).map((d) => ({ value: d.code, label: `${d.name} (${d.code})` }))}
                  />
                </Form.Item>
              </Form>
            </>
          )}
        </>
      )}
      {wrong !== null && <Failed error={wrong} />}
    </Modal>
  )
}
