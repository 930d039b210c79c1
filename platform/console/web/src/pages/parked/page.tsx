import { PauseCircleOutlined } from '@ant-design/icons'
import { lazy } from 'react'
import type { Page } from '../../app/page'
import en from './en.json'
import zh from './zh.json'

export const page: Page = {
  path: 'parked',
  letter: 'p',
  group: 'work',
  order: 30,
  rights: ['hub:read'],
  icon: <PauseCircleOutlined />,
  texts: { zh, en },
  component: lazy(() => import('./Parked')),
}
