# headrace on the Node of the image, as a user without rights. Your configuration is not in it: mount it as /app/headrace.config.ts, or build on this image and copy
# it there. docs/scale.md says how it is run.

FROM node:24-bookworm-slim AS build
WORKDIR /headrace
COPY package.json package-lock.json ./
RUN npm ci --ignore-scripts
COPY . .
RUN npm run build && npm prune --omit=dev --ignore-scripts

FROM node:24-bookworm-slim
ENV NODE_ENV=production
WORKDIR /app
# Where files of a configuration go that are to stay: `data/warehouse.duckdb`, `data/ledger.sqlite`.
RUN echo '{ "private": true, "type": "module" }' > package.json && mkdir data && chown node:node data
COPY --from=build /headrace/package.json node_modules/headrace/
COPY --from=build /headrace/dist node_modules/headrace/dist
COPY --from=build /headrace/node_modules node_modules/headrace/node_modules
USER node
EXPOSE 9464
# Of a daemon; a backfill answers nobody, and whoever runs it looks at how it ends.
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s \
  CMD ["node", "-e", "fetch('http://127.0.0.1:9464/livez').then(answer => process.exit(answer.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["node", "node_modules/headrace/dist/bin/headrace.js"]
CMD ["daemon", "--host", "0.0.0.0"]
