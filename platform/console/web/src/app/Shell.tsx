import { LogoutOutlined, MenuOutlined, MoonOutlined, SearchOutlined, SunOutlined, TranslationOutlined } from '@ant-design/icons'
import { Button, Drawer, Empty, Grid, Input, Layout, Menu, Modal, Space, Spin, Tooltip, Typography, theme, type InputRef } from 'antd'
import { Suspense, useCallback, useEffect, useRef, useState, type ReactNode } from 'react'
import { Link, Route, Routes, useLocation, useNavigate } from 'react-router'
import { Kbd } from '../parts/Kbd'
import { Caught } from '../parts/Caught'
import en from '../words/en.json'
import zh from '../words/zh.json'
import { useKeys } from './keys'
import { pages, type Page } from './page'
import { useRights, useSignOut, type Me } from './session'
import { useLanguage, useTexts, type Language } from './texts'
import { useLook } from './theme'

const groups = ['work', 'hospitals', 'money', 'clinic', 'security'] as const

/** Shell is what all pages share: menu by rights, search, language, look, keys. */
export function Shell({ me }: { me: Me }) {
  const t = useTexts({ zh, en })
  const { language } = useLanguage()
  const { may } = useRights()
  const { token } = theme.useToken()
  const wide = Grid.useBreakpoint().lg === true
  const [drawer, setDrawer] = useState(false)
  const [help, setHelp] = useState(false)
  const search = useRef<InputRef>(null)
  const location = useLocation()
  useKeys(
    useCallback(() => search.current?.focus(), []),
    useCallback(() => setHelp(true), []),
  )
  const seen = pages.filter((p) => p.rights.some((r) => may(r)))
  const at = location.pathname.split('/')[1] ?? ''
  const here = pages.find((p) => p.path === at)
  useEffect(() => {
    document.title = (here ? here.texts[language].menu + ' · ' : '') + 'hishub'
  }, [here, language])
  const items = groups.flatMap((g) => {
    const of = seen.filter((p) => p.group === g)
    if (of.length === 0) return []
    return [{ key: g, type: 'group' as const, label: t(`group.${g}`), children: of.map((p) => entry(p, language)) }]
  })
  const menu = (
    <nav aria-label={t('menu')}>
      <Menu mode="inline" selectedKeys={[at]} items={items} onClick={() => setDrawer(false)} style={{ borderInlineEnd: 0 }} />
    </nav>
  )
  return (
    <Layout style={{ minHeight: '100dvh' }}>
      <a className="skip" href="#content">
        {t('skip')}
      </a>
      <Layout.Header
        style={{ background: token.colorBgContainer, borderBottom: `1px solid ${token.colorBorderSecondary}`, padding: '0 16px', display: 'flex', alignItems: 'center', gap: 12, position: 'sticky', top: 0, zIndex: 10 }}
      >
        {!wide && <Button type="text" icon={<MenuOutlined />} aria-label={t('menu')} onClick={() => setDrawer(true)} />}
        <Link to="/" style={{ fontWeight: 700, fontSize: 18, color: token.colorText }} className="narrow-hide">
          hishub
        </Link>
        <Search at={search} />
        <Choices me={me} />
      </Layout.Header>
      <Layout>
        {wide && (
          <Layout.Sider width={208} theme="light" style={{ borderInlineEnd: `1px solid ${token.colorBorderSecondary}` }}>
            {menu}
          </Layout.Sider>
        )}
        <Layout.Content id="content" tabIndex={-1} style={{ padding: wide ? 24 : 12, minWidth: 0, outline: 'none' }} role="main">
          <Caught key={location.pathname}>
            <Suspense fallback={<Spin style={{ display: 'block', margin: '20vh auto' }} />}>
              <Routes>
                {seen.flatMap((p) => [
                  <Route key={p.path} path={'/' + p.path} element={<p.component />} />,
                  ...(p.below ?? []).map((b) => <Route key={p.path + '/' + b.path} path={'/' + p.path + '/' + b.path} element={<b.component />} />),
                ])}
                <Route path="*" element={<Nowhere none={seen.length === 0} />} />
              </Routes>
            </Suspense>
          </Caught>
        </Layout.Content>
      </Layout>
      <Drawer open={drawer} onClose={() => setDrawer(false)} placement="left" title="hishub" styles={{ body: { padding: 0 } }} size={260}>
        {menu}
      </Drawer>
      <Modal open={help} onCancel={() => setHelp(false)} footer={null} title={t('keys.title')}>
        <dl className="facts">
          <Shortcut keys={['/']} what={t('keys.search')} />
          <Shortcut keys={['?']} what={t('keys.help')} />
          {seen
            .filter((p) => p.letter !== '')
            .map((p) => (
              <Shortcut key={p.path} keys={['g', p.letter]} what={p.texts[language].menu} />
            ))}
        </dl>
      </Modal>
    </Layout>
  )
}

const entry = (p: Page, language: Language) => ({ key: p.path, icon: p.icon, label: <Link to={'/' + p.path}>{p.texts[language].menu}</Link> })

function Shortcut({ keys, what }: { keys: string[]; what: string }) {
  return (
    <>
      <dt>{what}</dt>
      <dd>
        <Space>
          {keys.map((k) => (
            <Kbd key={k}>{k}</Kbd>
          ))}
        </Space>
      </dd>
    </>
  )
}

/** Search looks for a message by any number, from everywhere. */
function Search({ at }: { at: React.RefObject<InputRef | null> }) {
  const t = useTexts({ zh, en })
  const { may } = useRights()
  const navigate = useNavigate()
  const [text, setText] = useState('')
  if (!may('hub:read')) return <div className="grow" />
  return (
    <Input
      ref={at}
      value={text}
      onChange={(e) => setText(e.target.value)}
      prefix={<SearchOutlined aria-hidden />}
      suffix={<span className="narrow-hide"><Kbd>/</Kbd></span>}
      placeholder={t('search')}
      aria-label={t('search')}
      allowClear
      style={{ maxWidth: 420, flex: '1 1 auto' }}
      onKeyDown={(e) => e.key === 'Escape' && at.current?.blur()}
      onPressEnter={() => {
        const number = text.trim()
        if (number !== '') void navigate('/messages?' + new URLSearchParams({ number }).toString())
      }}
    />
  )
}

function Choices({ me }: { me: Me }) {
  const t = useTexts({ zh, en })
  const { language, choose } = useLanguage()
  const { dark, choose: look } = useLook()
  const out = useSignOut()
  const choice = (title: string, icon: ReactNode, act: () => void) => (
    <Tooltip title={title}>
      <Button type="text" icon={icon} aria-label={title} onClick={act} />
    </Tooltip>
  )
  return (
    <div className="row" style={{ marginInlineStart: 'auto', flexWrap: 'nowrap', gap: 0 }}>
      <Typography.Text className="narrow-hide" style={{ marginInlineEnd: 8, maxWidth: 160 }} ellipsis>
        {me.name}
      </Typography.Text>
      {choice(t('language'), <TranslationOutlined />, () => choose(language === 'zh' ? 'en' : 'zh'))}
      {choice(dark ? t('light') : t('dark'), dark ? <SunOutlined /> : <MoonOutlined />, () => look(dark ? 'light' : 'dark'))}
      {choice(t('signOut'), <LogoutOutlined />, () => void out())}
    </div>
  )
}

function Nowhere({ none }: { none: boolean }) {
  const t = useTexts({ zh, en })
  return (
    <Empty image={Empty.PRESENTED_IMAGE_SIMPLE} description={none ? t('noRole') : t('nowhere')} style={{ marginTop: '15vh' }}>
      {!none && <Link to="/">{t('home')}</Link>}
    </Empty>
  )
}
