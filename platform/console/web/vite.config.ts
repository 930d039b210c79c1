import { defineConfig } from 'vite'
import react from '@vitejs/plugin-react'

// `make web` writes ../dist, which is committed and built into the program. For work on
// the pages: `npx vite` beside a hub at 8080.
export default defineConfig({
  base: '/console/',
  plugins: [react()],
  build: {
    outDir: '../dist', emptyOutDir: true, assetsInlineLimit: 0, modulePreload: { polyfill: false }, chunkSizeWarningLimit: 1500,
  },
  server: { proxy: { '/v1': 'http://127.0.0.1:8080', '/clinic': 'http://127.0.0.1:8080' } },
})
