import { LockOutlined, MoonOutlined, SafetyOutlined, SunOutlined, TranslationOutlined, UserOutlined } from '@ant-design/icons'
import { useQueryClient } from '@tanstack/react-query'
import { Alert, Button, Card, Flex, Form, Input, Typography } from 'antd'
import { toDataURL } from 'qrcode'
import { useState } from 'react'
import { api, ok, Problem, type Schemas } from '../api/client'
import en from '../words/signin.en.json'
import zh from '../words/signin.zh.json'
import { sayProblem } from '../parts/Failed'
import wordsEn from '../words/en.json'
import wordsZh from '../words/zh.json'
import { useLanguage, useTexts } from './texts'
import { useLook } from './theme'

type Step =
  | { at: 'password' | 'invitation' }
  | { at: 'code'; ticket: string }
  | { at: 'enrol'; ticket: string; offer: Schemas['ClinicIdentityOffer']; picture: string }
  | { at: 'recovery'; codes: string[] }

const device = { channel: 'web' as const, name: 'console' }

/** SignIn is name and password, then the second factor; first of all an invitation. */
export function SignIn() {
  const t = useTexts({ zh, en })
  const words = useTexts({ zh: wordsZh, en: wordsEn })
  const { language, choose } = useLanguage()
  const { dark, choose: look } = useLook()
  const queries = useQueryClient()
  const [step, setStep] = useState<Step>({ at: 'password' })
  const [busy, setBusy] = useState(false)
  const [said, setSaid] = useState<{ title: string; more: string; good?: boolean } | null>(null)

  const attempt = async (f: () => Promise<void>) => {
    setBusy(true)
    setSaid(null)
    try {
      await f()
    } catch (e) {
      if (e instanceof Problem && e.status === 401) setSaid({ title: t('refused'), more: t('refused.do') })
      else setSaid(sayProblem(e, words))
    } finally {
      setBusy(false)
    }
  }
  const enter = async () => {
    await queries.invalidateQueries({ queryKey: ['me'] })
    await queries.refetchQueries({ queryKey: ['me'] })
  }

  const password = (v: { name: string; password: string }) =>
    attempt(async () => {
      const got = await ok(api.POST('/clinic/v1/sessions/password', { body: { name: v.name.trim(), password: v.password } }))
      if (!got.enrol) {
        setStep({ at: 'code', ticket: got.ticket })
        return
      }
      const offer = await ok(api.POST('/clinic/v1/sessions/second-factor/enrol', { body: { ticket: got.ticket } }))
      setStep({ at: 'enrol', ticket: got.ticket, offer, picture: await toDataURL(offer.uri, { margin: 2, width: 200 }) })
    })
  const code = (ticket: string, v: { code: string }) =>
    attempt(async () => {
      const text = v.code.trim()
      const body = /^\d{6}$/.test(text) ? { ticket, device, code: text } : { ticket, device, recovery: text }
      await ok(api.POST('/clinic/v1/sessions/second-factor', { body }))
      await enter()
    })
  const confirm = (ticket: string, v: { code: string }) =>
    attempt(async () => {
      const opened = await ok(api.POST('/clinic/v1/sessions/second-factor/confirm', { body: { ticket, device, code: v.code.trim() } }))
      setStep({ at: 'recovery', codes: opened.recovery_codes ?? [] })
    })
  const accept = (v: { invitation: string; password: string }) =>
    attempt(async () => {
      await ok(api.POST('/clinic/v1/invitations/accept', { body: { invitation: v.invitation.trim(), password: v.password } }))
      setStep({ at: 'password' })
      setSaid({ title: t('accepted'), more: '', good: true })
    })

  const need = (what: string) => [{ required: true, message: what }]
  const go = (text: string) => (
    <Button type="primary" htmlType="submit" block loading={busy}>
      {text}
    </Button>
  )
  return (
    <Flex vertical align="center" justify="center" style={{ minHeight: '100%', padding: 12 }} component="main">
      <Card style={{ width: 'min(100%, 400px)' }}>
        <Flex justify="space-between" align="center">
          <Typography.Title level={1} style={{ fontSize: 24, margin: 0 }}>
            hishub
          </Typography.Title>
          <span>
            <Button type="text" icon={<TranslationOutlined />} aria-label={words('language')} onClick={() => choose(language === 'zh' ? 'en' : 'zh')} />
            <Button type="text" icon={dark ? <SunOutlined /> : <MoonOutlined />} aria-label={dark ? words('light') : words('dark')} onClick={() => look(dark ? 'light' : 'dark')} />
          </span>
        </Flex>
        <Typography.Paragraph type="secondary">{t(`about.${step.at}`)}</Typography.Paragraph>
        {said && <Alert type={said.good ? 'success' : 'error'} showIcon title={said.title} description={said.more || undefined} style={{ marginBottom: 16 }} role="alert" />}
        {step.at === 'password' && (
          <Form key="password" layout="vertical" onFinish={password} requiredMark={false}>
            <Form.Item name="name" label={t('name')} rules={need(t('name.need'))}>
              <Input prefix={<UserOutlined />} autoComplete="username" autoFocus autoCapitalize="none" />
            </Form.Item>
            <Form.Item name="password" label={t('password')} rules={need(t('password.need'))}>
              <Input.Password prefix={<LockOutlined />} autoComplete="current-password" />
            </Form.Item>
            {go(t('next'))}
            <Button type="link" block onClick={() => setStep({ at: 'invitation' })}>
              {t('invited')}
            </Button>
          </Form>
        )}
        {step.at === 'invitation' && (
          <Form key="invitation" layout="vertical" onFinish={accept} requiredMark={false}>
            <Form.Item name="invitation" label={t('invitation')} rules={need(t('invitation.need'))}>
              <Input autoFocus autoComplete="off" />
            </Form.Item>
            <Form.Item name="password" label={t('newPassword')} extra={t('newPassword.hint')} rules={need(t('password.need'))}>
              <Input.Password autoComplete="new-password" />
            </Form.Item>
            {go(t('setPassword'))}
            <Button type="link" block onClick={() => setStep({ at: 'password' })}>
              {t('back')}
            </Button>
          </Form>
        )}
        {step.at === 'code' && (
          <Form key="code" layout="vertical" onFinish={(v: { code: string }) => code(step.ticket, v)} requiredMark={false}>
            <Form.Item name="code" label={t('code')} rules={need(t('code.need'))}>
              <Input prefix={<SafetyOutlined />} autoFocus autoComplete="one-time-code" />
            </Form.Item>
            {go(t('signIn'))}
            <Button type="link" block onClick={() => setStep({ at: 'password' })}>
              {t('back')}
            </Button>
          </Form>
        )}
        {step.at === 'enrol' && (
          <Form key="enrol" layout="vertical" onFinish={(v: { code: string }) => confirm(step.ticket, v)} requiredMark={false}>
            <Flex vertical align="center" gap={8} style={{ marginBottom: 16 }}>
              <img src={step.picture} alt={t('picture')} width={200} height={200} />
              <Typography.Text copyable className="mono">
                {step.offer.secret}
              </Typography.Text>
            </Flex>
            <Form.Item name="code" label={t('code')} rules={need(t('code.need'))}>
              <Input prefix={<SafetyOutlined />} autoFocus autoComplete="one-time-code" inputMode="numeric" maxLength={6} />
            </Form.Item>
            {go(t('signIn'))}
          </Form>
        )}
        {step.at === 'recovery' && (
          <>
            <Typography.Paragraph copyable={{ text: step.codes.join('\n') }}>
              {step.codes.map((c) => (
                <div key={c} className="mono">
                  {c}
                </div>
              ))}
            </Typography.Paragraph>
            <Button type="primary" block onClick={() => void attempt(enter)} loading={busy}>
              {t('kept')}
            </Button>
          </>
        )}
      </Card>
    </Flex>
  )
}
