import { QueryCache, QueryClient, QueryClientProvider } from '@tanstack/react-query'
import { App as Messages, ConfigProvider, theme } from 'antd'
import enUS from 'antd/locale/en_US'
import zhCN from 'antd/locale/zh_CN'
import dayjs from 'dayjs'
import 'dayjs/locale/zh-cn'
import { useEffect, useMemo } from 'react'
import { BrowserRouter } from 'react-router'
import { Problem } from '../api/client'
import { Entrance } from './Entrance'
import { nonce } from './nonce'
import { LanguageContext, localeOf, type Language } from './texts'
import { LookContext, useDark, useKept, type Look } from './theme'

const usual: Language = navigator.language.toLowerCase().startsWith('zh') ? 'zh' : 'en'

export function App() {
  const [language, choose] = useKept<Language>('hishub.language', usual, ['zh', 'en'])
  const [look, chooseLook] = useKept<Look>('hishub.look', 'system', ['light', 'dark', 'system'])
  const dark = useDark(look)
  const queries = useMemo(() => {
    const client: QueryClient = new QueryClient({
      queryCache: new QueryCache({
        onError: (e) => {
          // The session is over: whatever asked, the entrance is shown.
          if (e instanceof Problem && e.status === 401) client.setQueryData(['me'], null)
        },
      }),
      defaultOptions: { queries: { retry: (n, e) => n < 2 && !(e instanceof Problem && e.status < 500), refetchOnWindowFocus: false, staleTime: 5000 } },
    })
    return client
  }, [])
  useEffect(() => {
    document.documentElement.lang = localeOf(language)
    document.documentElement.style.colorScheme = dark ? 'dark' : 'light'
    document.documentElement.dataset.look = dark ? 'dark' : 'light'
    dayjs.locale(language === 'zh' ? 'zh-cn' : 'en')
  }, [language, dark])
  return (
    <LanguageContext.Provider value={{ language, choose }}>
      <LookContext.Provider value={{ look, dark, choose: chooseLook }}>
        <ConfigProvider
          csp={{ nonce }}
          button={{ autoInsertSpace: false }}
          locale={language === 'zh' ? zhCN : enUS}
          theme={{
            components: dark ? { Menu: { itemSelectedColor: '#a8d1f7' }, Tabs: { itemSelectedColor: '#7db8f5', itemActiveColor: '#7db8f5', itemHoverColor: '#7db8f5' } } : {},
            algorithm: dark ? theme.darkAlgorithm : theme.defaultAlgorithm,
            // Darker than antd's own, so that text in these colours can be read by everybody (WCAG AA).
            token: dark
              ? { colorPrimary: '#3783cc', colorInfo: '#6fb1f2', colorError: '#f0696b', colorTextDescription: 'rgba(255,255,255,0.68)', colorTextTertiary: 'rgba(255,255,255,0.68)', colorLink: '#7db8f5', colorTextPlaceholder: 'rgba(255,255,255,0.6)' }
              : { colorPrimary: '#0b62ba', colorError: '#c4222a', colorWarning: '#955400', colorInfo: '#0b62ba', colorSuccess: '#1f7f3a', colorSuccessBg: '#eefaf0', colorErrorBg: '#fff1f0', colorWarningBg: '#fff8e6', colorInfoBg: '#eaf4ff', colorTextDescription: 'rgba(0,0,0,0.66)', colorTextTertiary: 'rgba(0,0,0,0.66)', colorTextPlaceholder: 'rgba(0,0,0,0.6)', colorLink: '#0b5cae' },
          }}
        >
          <Messages>
            <QueryClientProvider client={queries}>
              <BrowserRouter basename="/console">
                <Entrance />
              </BrowserRouter>
            </QueryClientProvider>
          </Messages>
        </ConfigProvider>
      </LookContext.Provider>
    </LanguageContext.Provider>
  )
}
